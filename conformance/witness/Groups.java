import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicBoolean;

import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeOrderlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerOrderly;

/** How the members of a group share queues, and how a consumer outlives its master. */
final class Groups {
    /** Consumers that outlive their case. */
    private static final Map<String, DefaultMQPushConsumer> RUNNING = new ConcurrentHashMap<>();
    private static final Map<String, Clients.Inbox> INBOXES = new ConcurrentHashMap<>();

    private Groups() {
    }

    static void cases(Map<String, Witness.Case> all) {
        all.put("rebalance", Groups::rebalance);
        all.put("broadcast", Groups::broadcast);
        all.put("orderly", Groups::orderly);
        all.put("start", Groups::start);
        all.put("await", Groups::await);
        all.put("stop", Groups::stop);
        all.put("persist", Groups::persist);
        all.put("send", Groups::send);
    }

    /** Returns how many queues of the topic the consumer holds now. */
    static int queues(DefaultMQPushConsumer c, String topic) {
        return (int) c.getDefaultMQPushConsumerImpl().getRebalanceImpl().getProcessQueueTable().keySet().stream().filter(q -> q.getTopic().equals(topic)).count();
    }

    static boolean awaitQueues(DefaultMQPushConsumer c, String topic, int count, int seconds) throws InterruptedException {
        return Witness.until(seconds, () -> queues(c, topic) == count);
    }

    /** Waits until the consumer is done with what it got: its offsets are behind it. */
    static void awaitDone(DefaultMQPushConsumer c) throws InterruptedException {
        Witness.until(5, () -> c.getDefaultMQPushConsumerImpl().getRebalanceImpl().getProcessQueueTable().values().stream().allMatch(q -> q.getMsgCount().get() == 0));
    }

    /**
     * Waits for count messages; members look every second which queues are theirs, not every 20 s: the retry topic is new. At most 45 s: a
     * pull of 4.9.7 to a broker that ended fails by its own time of 30 s alone, and its queue is tried again 3 s later.
     */
    static void awaitNudged(List<DefaultMQPushConsumer> members, Clients.Inbox in, int count) throws InterruptedException {
        for (int i = 0; i < 45 && !in.await(count, 1); i++) {
            members.forEach(c -> c.getDefaultMQPushConsumerImpl().doRebalance());
        }
    }

    /** Members join, leave and crash: the others are told, and do not wait for their next look 20 s later. */
    static Map<String, Object> rebalance(Witness.Args a) throws Exception {
        String topic = a.get("topic");
        Clients.Inbox in = new Clients.Inbox();
        Map<String, Object> saw = new TreeMap<>();
        DefaultMQPushConsumer first = Clients.start(a, Clients.push(a, a.get("group")), "*", in);
        awaitQueues(first, topic, 4, 15);
        saw.put("1 alone", queues(first, topic));
        DefaultMQPushConsumer second = Clients.start(a, Clients.push(a, a.get("group")), "*", in);
        Witness.until(12, () -> queues(first, topic) == 2 && queues(second, topic) == 2);
        saw.put("2 joined", Arrays.asList(queues(first, topic), queues(second, topic)));
        Clients.sendMany(a, 4, 0, 8);
        in.awaitDistinct(8, 15);
        second.shutdown();
        awaitQueues(first, topic, 4, 12);
        saw.put("3 left", queues(first, topic));
        DefaultMQPushConsumer third = Clients.start(a, Clients.push(a, a.get("group")), "*", in);
        Witness.until(12, () -> queues(first, topic) == 2 && queues(third, topic) == 2);
        saw.put("4 joined", Arrays.asList(queues(first, topic), queues(third, topic)));
        third.getDefaultMQPushConsumerImpl().getmQClientFactory().getMQClientAPIImpl().shutdown(); // its connections end, it says nothing
        awaitQueues(first, topic, 4, 12);
        saw.put("5 crashed", queues(first, topic));
        Clients.sendMany(a, 4, 8, 8);
        in.awaitDistinct(16, 20);
        first.shutdown();
        saw.put("6 bodies", in.distinct());
        return saw;
    }

    static Map<String, Object> broadcast(Witness.Args a) throws Exception {
        List<Object> all = new ArrayList<>();
        List<Clients.Inbox> inboxes = Arrays.asList(new Clients.Inbox(), new Clients.Inbox());
        List<DefaultMQPushConsumer> consumers = new ArrayList<>();
        for (Clients.Inbox in : inboxes) {
            DefaultMQPushConsumer c = Clients.push(a, a.get("group"));
            for (java.lang.reflect.Method m : DefaultMQPushConsumer.class.getMethods()) {
                if (m.getName().equals("setMessageModel")) {
                    m.invoke(c, Produce.constant(m.getParameterTypes()[0], "BROADCASTING"));
                }
            }
            consumers.add(Clients.start(a, c, "*", in));
        }
        for (DefaultMQPushConsumer c : consumers) {
            awaitQueues(c, a.get("topic"), 2, 15);
        }
        Clients.sendMany(a, 2, 0, 6);
        for (Clients.Inbox in : inboxes) {
            in.await(6, 15);
            all.add(in.bodies());
        }
        consumers.forEach(DefaultMQPushConsumer::shutdown);
        return Witness.seen("bodies", all);
    }

    /** Two members lock the queues that they have: each queue comes in order, one message again at once when it was refused. */
    static Map<String, Object> orderly(Witness.Args a) throws Exception {
        Map<Integer, List<String>> came = new ConcurrentHashMap<>();
        Clients.Inbox in = new Clients.Inbox();
        AtomicBoolean refused = new AtomicBoolean();
        List<DefaultMQPushConsumer> members = new ArrayList<>();
        for (int i = 0; i < 2; i++) {
            DefaultMQPushConsumer c = Clients.push(a, a.get("group"));
            c.subscribe(a.get("topic"), "*");
            c.registerMessageListener((MessageListenerOrderly) (msgs, context) -> {
                String body = Clients.text(msgs.get(0));
                in.put(msgs);
                came.computeIfAbsent(msgs.get(0).getQueueId(), id -> Collections.synchronizedList(new ArrayList<>())).add(body);
                if (body.equals("008") && refused.compareAndSet(false, true)) {
                    context.setSuspendCurrentQueueTimeMillis(100);
                    return ConsumeOrderlyStatus.SUSPEND_CURRENT_QUEUE_A_MOMENT;
                }
                return ConsumeOrderlyStatus.SUCCESS;
            });
            c.start();
            members.add(c);
        }
        Witness.until(15, () -> queues(members.get(0), a.get("topic")) == 2 && queues(members.get(1), a.get("topic")) == 2);
        Clients.sendMany(a, 4, 0, 24);
        awaitNudged(members, in, 25);
        members.forEach(DefaultMQPushConsumer::shutdown);
        return Witness.seen("queues", new TreeMap<>(came));
    }

    /** Starts a consumer that runs on. */
    static Map<String, Object> start(Witness.Args a) throws Exception {
        Clients.Inbox in = new Clients.Inbox();
        INBOXES.put(a.get("group"), in);
        RUNNING.put(a.get("group"), Clients.start(a, Clients.push(a, a.get("group")), "*", in));
        return await(a);
    }

    /** Waits until a running consumer has got count messages in all, and tells which. */
    static Map<String, Object> await(Witness.Args a) throws Exception {
        Clients.Inbox in = INBOXES.get(a.get("group"));
        awaitNudged(Collections.singletonList(RUNNING.get(a.get("group"))), in, Integer.parseInt(a.get("count")));
        return Witness.seen("bodies", in.bodies());
    }

    /** Has the broker know how far a running consumer is: by itself it says so ten seconds after its start. */
    static Map<String, Object> persist(Witness.Args a) throws Exception {
        DefaultMQPushConsumer c = RUNNING.get(a.get("group"));
        awaitDone(c);
        c.getDefaultMQPushConsumerImpl().persistConsumerOffset();
        return Witness.seen();
    }

    static Map<String, Object> stop(Witness.Args a) throws Exception {
        RUNNING.remove(a.get("group")).shutdown();
        return Witness.seen();
    }

    /** Sends count messages from first on to the queues of the topic in turn. */
    static Map<String, Object> send(Witness.Args a) throws Exception {
        Exception last = null;
        for (int i = 0; i < 100; i++) {
            try {
                Clients.send(a, 0, a.get("first"));
                last = null;
                break;
            } catch (Exception e) { // the master has only just come back
                last = e;
                Thread.sleep(100);
            }
        }
        if (last != null) {
            throw last;
        }
        Clients.sendMany(a, Integer.parseInt(a.get("queues")), Integer.parseInt(a.get("first")) + 1, Integer.parseInt(a.get("count")) - 1);
        return Witness.seen("sent", Integer.parseInt(a.get("count")));
    }
}
