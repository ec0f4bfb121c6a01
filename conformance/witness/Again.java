import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;

import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.utils.MessageUtil;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;

/** Messages that come again, end among the dead letters, or are answered. */
final class Again {
    private Again() {
    }

    static void cases(Map<String, Witness.Case> all) {
        all.put("retry", Again::retry);
        all.put("dead-letters", Again::deadLetters);
        all.put("request-reply", Again::requestReply);
    }

    private static DefaultMQPushConsumer refusing(Witness.Args a, Clients.Inbox in, int level, int times) throws Exception {
        DefaultMQPushConsumer c = Clients.push(a, a.get("group"));
        c.subscribe(a.get("topic"), "*");
        c.registerMessageListener((MessageListenerConcurrently) (msgs, context) -> {
            in.put(msgs);
            context.setDelayLevelWhenNextConsume(level);
            return msgs.get(0).getReconsumeTimes() < times ? ConsumeConcurrentlyStatus.RECONSUME_LATER : ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
        return c;
    }

    /** A message is refused once and comes again after the first retry delay, the third delay level: 10 s. */
    static Map<String, Object> retry(Witness.Args a) throws Exception {
        Clients.Inbox in = new Clients.Inbox();
        DefaultMQPushConsumer c = refusing(a, in, 0, 1);
        c.start();
        Message m = new Message(a.get("topic"), "TagA", "key", "again".getBytes());
        Clients.producer(a.get("ns")).send(m, Clients.queue(a, 0));
        Groups.awaitNudged(Arrays.asList(c), in, 2);
        c.shutdown();
        List<String> came = new ArrayList<>();
        in.msgs.forEach(e -> came.add(Clients.tell(e)));
        boolean early = in.times.size() < 2 || in.times.get(1) - in.times.get(0) < 9900;
        return Witness.seen("came", came, "early", early);
    }

    /** A message is refused until the group's limit is reached. */
    static Map<String, Object> deadLetters(Witness.Args a) throws Exception {
        Clients.Inbox in = new Clients.Inbox();
        DefaultMQPushConsumer c = refusing(a, in, 1, 100);
        c.setMaxReconsumeTimes(2);
        c.start();
        Message m = new Message(a.get("topic"), "TagA", "key", "dead".getBytes());
        Clients.producer(a.get("ns")).send(m, Clients.queue(a, 0));
        Groups.awaitNudged(Arrays.asList(c), in, 3);
        String dead = "%DLQ%" + a.get("group");
        Clients.holds(a.get("ns"), dead, 1, 15);
        c.shutdown();
        List<Integer> times = new ArrayList<>();
        in.msgs.forEach(e -> times.add(e.getReconsumeTimes()));
        Map<String, Object> saw = Witness.seen("reconsumed", times);
        try {
            saw.put("dead", Clients.read(a.get("ns"), dead));
        } catch (Exception e) {
            saw.put("dead", Witness.error(e));
        }
        return saw;
    }

    static Map<String, Object> requestReply(Witness.Args a) throws Exception {
        DefaultMQProducer replies = Clients.newProducer(a.get("ns"), "replies");
        DefaultMQPushConsumer c = Clients.push(a, a.get("group"));
        c.subscribe(a.get("topic"), "*");
        c.registerMessageListener((MessageListenerConcurrently) (msgs, context) -> {
            try {
                for (MessageExt m : msgs) {
                    replies.send(MessageUtil.createReplyMessage(m, ("answer to " + Clients.text(m)).getBytes()));
                }
            } catch (Exception e) {
                e.printStackTrace();
            }
            return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
        c.start();
        Groups.awaitQueues(c, a.get("topic"), 1, 15);
        DefaultMQProducer requests = Clients.newProducer(a.get("ns"), "requests");
        try {
            Message reply = requests.request(Clients.message(a.get("topic"), "a question"), 15000);
            return Witness.seen("reply", new String(reply.getBody()));
        } catch (Exception e) {
            return Witness.seen("reply", Witness.error(e).replaceAll("<[^>]*>", "<...>").replaceAll("\\d+ ms", "... ms"));
        } finally {
            c.shutdown();
            requests.shutdown();
            replies.shutdown();
        }
    }
}
