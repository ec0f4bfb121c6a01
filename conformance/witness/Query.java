import java.util.ArrayList;
import java.util.List;
import java.util.Map;

import org.apache.rocketmq.client.QueryResult;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;

/** Messages found by their key, their unique id and their offset id. */
final class Query {
    private Query() {
    }

    static void cases(Map<String, Witness.Case> all) {
        all.put("query", Query::query);
        all.put("send-for-query", Query::send);
    }

    /** Sends a message and tells by which ids it can be asked for. */
    private static Map<String, Object> send(Witness.Args a) throws Exception {
        Message m = new Message(a.get("topic"), "TagA", "adminkey", "asked for".getBytes());
        SendResult r = Clients.producer(a.get("ns")).send(m, Clients.queue(a, 0));
        return Witness.seen("unique", r.getMsgId(), "offset id", r.getOffsetMsgId(), "offset", r.getQueueOffset());
    }

    static Map<String, Object> query(Witness.Args a) throws Exception {
        SendResult last = null;
        long began = System.currentTimeMillis();
        for (int i = 0; i < 6; i++) {
            Message m = new Message(a.get("topic"), "TagA", "order" + i % 2 + " all", ("message " + i).getBytes());
            last = Clients.producer(a.get("ns")).send(m, Clients.queue(a, 0));
        }
        String unique = last.getMsgId();
        String offset = last.getOffsetMsgId();
        Map<String, Object> saw = Witness.seen("by key", byKey(a, "order1", 3, began), "by another", byKey(a, "all", 6, began), "by none", byKey(a, "nobody", 0, began));
        saw.put("by unique id", view(a, unique));
        saw.put("by offset id", view(a, offset));
        saw.put("by an id that is none", view(a, unique.substring(0, 20) + "000000000000"));
        return saw;
    }

    /** The index is written behind the log: what it is to hold is waited for. */
    private static Object byKey(Witness.Args a, String key, int count, long began) throws Exception {
        List<String> bodies = new ArrayList<>();
        String[] refused = {null};
        Witness.until(count == 0 ? 0 : 10, () -> {
            bodies.clear();
            try {
                QueryResult r = Clients.producer(a.get("ns")).queryMessage(a.get("topic"), key, 32, began - 60000, began + 3600000);
                r.getMessageList().forEach(m -> bodies.add(Clients.text(m)));
                refused[0] = null;
            } catch (Exception e) {
                refused[0] = Witness.error(e);
                return refused[0].contains("not support");
            }
            return bodies.size() >= count;
        });
        java.util.Collections.sort(bodies);
        return refused[0] == null ? bodies : refused[0];
    }

    private static String view(Witness.Args a, String id) {
        try {
            MessageExt m = Clients.producer(a.get("ns")).viewMessage(a.get("topic"), id);
            return m == null ? "nothing" : Clients.tell(m);
        } catch (Exception e) {
            return Witness.error(e);
        }
    }
}
