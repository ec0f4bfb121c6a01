import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;

import org.apache.rocketmq.client.consumer.DefaultLitePullConsumer;
import org.apache.rocketmq.client.consumer.DefaultMQPullConsumer;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.PullResult;
import org.apache.rocketmq.common.UtilAll;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;

/** How one consumer reads: pushed to, pulling, by tag, from where. */
final class Consume {
    private Consume() {
    }

    static void cases(Map<String, Witness.Case> all) {
        all.put("push", Consume::push);
        all.put("push-tags", Consume::tags);
        all.put("push-from-last", a -> from(a, ConsumeFromWhere.CONSUME_FROM_LAST_OFFSET));
        all.put("push-from-timestamp", a -> from(a, ConsumeFromWhere.CONSUME_FROM_TIMESTAMP));
        all.put("offsets-kept", Consume::offsetsKept);
        all.put("pull", Consume::pull);
        all.put("search-by-time", Consume::searchByTime);
        all.put("lite-pull-assign", Consume::liteAssign);
        all.put("lite-pull-subscribe", Consume::liteSubscribe);
    }

    /** The backlog of four queues, then news, which must come without delay. */
    static Map<String, Object> push(Witness.Args a) throws Exception {
        Clients.sendMany(a, 4, 0, 20);
        Clients.Inbox in = new Clients.Inbox();
        DefaultMQPushConsumer c = Clients.start(a, Clients.push(a, a.get("group")), "*", in);
        in.await(20, 20);
        int slow = 0;
        for (int i = 20; i < 26; i++) {
            long sent = System.currentTimeMillis();
            Clients.send(a, i % 4, String.format("%03d", i));
            in.await(i + 1, 10);
            slow += System.currentTimeMillis() - sent > 2000 ? 1 : 0;
        }
        c.shutdown();
        Set<Integer> queues = new HashSet<>();
        in.msgs.forEach(m -> queues.add(m.getQueueId()));
        return Witness.seen("bodies", in.bodies(), "queues", queues.size(), "slow", slow);
    }

    static Map<String, Object> tags(Witness.Args a) throws Exception {
        for (int i = 0; i < 12; i++) {
            Message m = Clients.message(a.get("topic"), "message " + i);
            if (i % 4 != 3) {
                m.setTags(new String[] {"TagA", "TagB", "TagC"}[i % 4]);
            }
            Clients.producer(a.get("ns")).send(m, Clients.queue(a, i % 2));
        }
        Clients.Inbox in = new Clients.Inbox();
        DefaultMQPushConsumer c = Clients.start(a, Clients.push(a, a.get("group")), "TagA || TagC", in);
        in.await(6, 20);
        Message last = Clients.message(a.get("topic"), "message z");
        last.setTags("TagA");
        Clients.producer(a.get("ns")).send(last, Clients.queue(a, 0));
        in.await(7, 10);
        c.shutdown();
        return Witness.seen("bodies", in.bodies());
    }

    /** What a new group gets of a topic that holds messages, when it asks for the last or for those since the present. */
    private static Map<String, Object> from(Witness.Args a, ConsumeFromWhere where) throws Exception {
        Clients.sendMany(a, 1, 0, 3);
        DefaultMQPushConsumer c = Clients.push(a, a.get("group"));
        c.setConsumeFromWhere(where);
        c.setConsumeTimestamp(UtilAll.timeMillisToHumanString3(System.currentTimeMillis() + 1000));
        Clients.Inbox in = new Clients.Inbox();
        Clients.start(a, c, "*", in);
        Groups.awaitQueues(c, a.get("topic"), 1, 15);
        Thread.sleep(2100); // the next message is later than the time asked for, by whole seconds
        Clients.sendMany(a, 1, 3, 1);
        Witness.until(15, () -> in.bodies().contains("003"));
        c.shutdown();
        return Witness.seen("bodies", in.bodies());
    }

    /** A group goes on where it was. */
    static Map<String, Object> offsetsKept(Witness.Args a) throws Exception {
        List<Object> rounds = new ArrayList<>();
        for (int round = 0; round < 2; round++) {
            Clients.sendMany(a, 2, 4 * round, 4);
            Clients.Inbox in = new Clients.Inbox();
            DefaultMQPushConsumer c = Clients.start(a, Clients.push(a, a.get("group")), "*", in);
            in.await(4, 20);
            Groups.awaitDone(c);
            c.shutdown();
            rounds.add(in.bodies());
        }
        return Witness.seen("rounds", rounds);
    }

    static Map<String, Object> pull(Witness.Args a) throws Exception {
        for (int i = 0; i < 6; i++) {
            Message m = Clients.message(a.get("topic"), "message " + i);
            m.setTags(i < 4 ? "TagA" : "TagB");
            Clients.producer(a.get("ns")).send(m, Clients.queue(a, 0));
        }
        DefaultMQPullConsumer c = Clients.reader(a.get("ns"));
        MessageQueue q = Clients.queue(a, 0);
        Map<String, Object> saw = Witness.seen("queues", c.fetchSubscribeMessageQueues(a.get("topic")).size(),
            "min", c.minOffset(q), "max", c.maxOffset(q), "all", result(c.pull(q, "*", 0, 32)), "two", result(c.pull(q, "*", 1, 2)),
            "tag", result(c.pull(q, "TagB", 0, 32)), "no such tag", result(c.pull(q, "TagZ", 0, 32)),
            "at the end", result(c.pull(q, "*", 6, 32)), "beyond the end", result(c.pull(q, "*", 100, 32)),
            "an empty queue", result(c.pull(Clients.queue(a, 1), "*", 0, 32)), "beyond an empty queue", result(c.pull(Clients.queue(a, 1), "*", 5, 32)));
        try {
            saw.put("no such queue", result(c.pull(Clients.queue(a, 9), "*", 0, 32)));
        } catch (Exception e) {
            saw.put("no such queue", Witness.error(e).replaceAll(":\\d+\\]", ":port]"));
        }
        saw.put("offset before", c.fetchConsumeOffset(q, true));
        c.updateConsumeOffset(q, 4);
        c.getOffsetStore().persist(q);
        Witness.until(5, () -> {
            try {
                return c.fetchConsumeOffset(q, true) == 4;
            } catch (Exception e) {
                return false;
            }
        });
        saw.put("offset after", c.fetchConsumeOffset(q, true));
        return saw;
    }

    private static String result(PullResult r) {
        List<String> bodies = new ArrayList<>();
        if (r.getMsgFoundList() != null) {
            r.getMsgFoundList().forEach(m -> bodies.add(Clients.text(m)));
        }
        return r.getPullStatus() + " next " + r.getNextBeginOffset() + " of " + r.getMinOffset() + " to " + r.getMaxOffset() + " " + bodies;
    }

    static Map<String, Object> searchByTime(Witness.Args a) throws Exception {
        Clients.sendMany(a, 1, 0, 3);
        Thread.sleep(50);
        long between = System.currentTimeMillis();
        Thread.sleep(50);
        Clients.sendMany(a, 1, 3, 3);
        DefaultMQPullConsumer c = Clients.reader(a.get("ns"));
        MessageQueue q = Clients.queue(a, 0);
        Clients.holds(a.get("ns"), a.get("topic"), 6, 10);
        List<MessageExt> all = Clients.readAll(a.get("ns"), a.get("topic"));
        return Witness.seen("from the start", c.searchOffset(q, 0), "between", c.searchOffset(q, between),
            "its own time", c.searchOffset(q, all.get(3).getStoreTimestamp()), "in an hour", c.searchOffset(q, between + 3600000),
            "an empty queue", c.searchOffset(Clients.queue(a, 1), between),
            "earliest is the first", c.earliestMsgStoreTime(q) <= all.get(0).getStoreTimestamp());
    }

    static Map<String, Object> liteAssign(Witness.Args a) throws Exception {
        Clients.sendMany(a, 1, 0, 8);
        DefaultLitePullConsumer c = lite(a);
        c.start();
        MessageQueue q = Clients.queue(a, 0);
        c.assign(Collections.singletonList(q));
        poll(c, 8); // a pull that is under way may hand its messages over after a seek: the client's own race
        c.seek(q, 5);
        List<String> fromFive = poll(c, 3);
        c.seek(q, 1);
        List<String> fromOne = poll(c, 7);
        long byTime = c.offsetForTimestamp(q, 0L);
        c.shutdown();
        return Witness.seen("from 5", fromFive, "from 1", fromOne, "first by time", byTime);
    }

    static Map<String, Object> liteSubscribe(Witness.Args a) throws Exception {
        Clients.sendMany(a, 2, 0, 8);
        DefaultLitePullConsumer c = lite(a);
        c.subscribe(a.get("topic"), "*");
        c.start();
        List<String> bodies = poll(c, 8);
        c.commitSync();
        List<Long> committed = new ArrayList<>();
        for (int i = 0; i < 2; i++) {
            committed.add(c.committed(Clients.queue(a, i)));
        }
        c.shutdown();
        return Witness.seen("bodies", bodies, "committed", committed);
    }

    private static DefaultLitePullConsumer lite(Witness.Args a) throws Exception {
        DefaultLitePullConsumer c = new DefaultLitePullConsumer(a.get("group"));
        c.setNamesrvAddr(a.get("ns"));
        c.setInstanceName(Clients.name());
        c.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        c.setAutoCommit(false);
        return c;
    }

    private static List<String> poll(DefaultLitePullConsumer c, int count) throws Exception {
        List<String> bodies = new ArrayList<>();
        Witness.until(15, () -> {
            c.poll(100).forEach(m -> bodies.add(Clients.text(m)));
            return bodies.size() >= count;
        });
        Collections.sort(bodies);
        return bodies;
    }
}
