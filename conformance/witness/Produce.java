import java.lang.reflect.Field;
import java.lang.reflect.Method;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;

import org.apache.rocketmq.client.impl.MQClientAPIImpl;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendCallback;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.remoting.protocol.RemotingCommand;

/** How messages get in. Each case reads back what the topic holds then. */
final class Produce {
    private Produce() {
    }

    static void cases(Map<String, Witness.Case> all) {
        all.put("send-sync", Produce::sync);
        all.put("send-async", Produce::async);
        all.put("send-oneway", Produce::oneway);
        all.put("send-batch", Produce::batch);
        all.put("send-ordered", Produce::ordered);
        all.put("send-compressed", Produce::compressed);
        all.put("send-properties", Produce::properties);
        all.put("send-long-names", Produce::longNames);
        all.put("send-binary", Produce::binary);
        all.put("send-too-long", Produce::tooLong);
        all.put("send-new-topic", Produce::newTopic);
        all.put("send-delay-levels", Produce::delayLevels);
    }

    static Map<String, Object> sync(Witness.Args a) throws Exception {
        List<String> results = new ArrayList<>();
        for (String text : new String[] {"one", "two", "three"}) {
            results.add(Clients.result(Clients.send(a, 0, text)));
        }
        return Witness.seen("results", results, "topic", Clients.read(a.get("ns"), a.get("topic")));
    }

    static Map<String, Object> async(Witness.Args a) throws Exception {
        List<String> results = Collections.synchronizedList(new ArrayList<>());
        CountDownLatch left = new CountDownLatch(8);
        for (int i = 0; i < 8; i++) {
            Clients.producer(a.get("ns")).send(Clients.message(a.get("topic"), "async " + i), Clients.queue(a, 0), new SendCallback() {
                public void onSuccess(SendResult r) {
                    results.add(Clients.result(r));
                    left.countDown();
                }

                public void onException(Throwable e) {
                    results.add(Witness.error(e));
                    left.countDown();
                }
            });
        }
        left.await(20, TimeUnit.SECONDS);
        Collections.sort(results);
        return Witness.seen("results", results, "bodies", bodies(a)); // the client's threads send in no order
    }

    /** Returns what the topic holds, sorted. */
    private static List<String> bodies(Witness.Args a) throws Exception {
        List<String> bodies = new ArrayList<>();
        Clients.readAll(a.get("ns"), a.get("topic")).forEach(m -> bodies.add(Clients.text(m)));
        Collections.sort(bodies);
        return bodies;
    }

    static Map<String, Object> oneway(Witness.Args a) throws Exception {
        for (int i = 0; i < 5; i++) {
            Clients.producer(a.get("ns")).sendOneway(Clients.message(a.get("topic"), "oneway " + i), Clients.queue(a, 0));
        }
        Clients.holds(a.get("ns"), a.get("topic"), 5, 10);
        return Witness.seen("bodies", bodies(a)); // the broker's threads take them in no order
    }

    static Map<String, Object> batch(Witness.Args a) throws Exception {
        List<Message> msgs = new ArrayList<>();
        for (int i = 0; i < 3; i++) {
            Message m = new Message(a.get("topic"), "Tag" + i, "key" + i, ("batch " + i).getBytes(StandardCharsets.UTF_8));
            msgs.add(m);
        }
        String first = Clients.result(Clients.producer(a.get("ns")).send(msgs, Clients.queue(a, 0)));
        String second = Clients.result(Clients.producer(a.get("ns")).send(msgs.subList(0, 1), Clients.queue(a, 0)));
        return Witness.seen("three", first, "one", second, "topic", Clients.read(a.get("ns"), a.get("topic")));
    }

    static Map<String, Object> ordered(Witness.Args a) throws Exception {
        for (int i = 0; i < 12; i++) {
            Clients.producer(a.get("ns")).send(Clients.message(a.get("topic"), "order " + i % 3 + " step " + i / 3),
                (queues, message, order) -> queues.get((Integer) order), i % 3);
        }
        return Witness.seen("topic", Clients.read(a.get("ns"), a.get("topic")));
    }

    /** Bodies above 4 KiB, by each algorithm that the client has. */
    static Map<String, Object> compressed(Witness.Args a) throws Exception {
        StringBuilder large = new StringBuilder();
        while (large.length() < 20000) {
            large.append("compress me ");
        }
        List<String> used = new ArrayList<>();
        for (String type : new String[] {"ZLIB", "LZ4", "ZSTD"}) {
            DefaultMQProducer p = Clients.newProducer(a.get("ns"), "producers");
            if (compressBy(p, type)) {
                used.add(type);
                p.send(Clients.message(a.get("topic"), large.toString()), Clients.queue(a, 0));
            }
            p.shutdown();
        }
        return Witness.seen("used", used, "topic", Clients.read(a.get("ns"), a.get("topic")));
    }

    /** Sets the algorithm, and reports whether the client has it. 4.9 has zlib alone, and no name for it. */
    private static boolean compressBy(DefaultMQProducer p, String type) throws Exception {
        for (Method m : p.getClass().getMethods()) {
            if (m.getName().equals("setCompressType")) {
                m.invoke(p, constant(m.getParameterTypes()[0], type));
                return true;
            }
        }
        return type.equals("ZLIB");
    }

    /** Returns a constant of an enumeration that is another class in another version. */
    static Object constant(Class<?> type, String name) throws Exception {
        return type.getField(name).get(null);
    }

    static Map<String, Object> properties(Witness.Args a) throws Exception {
        Message m = new Message(a.get("topic"), "TagA", "k1 k2", "Grüße, 日本, 🚀".getBytes(StandardCharsets.UTF_8));
        m.putUserProperty("colour", "blau \"ü\" \\ 日本 🚀");
        m.putUserProperty("schlüssel", "ключ");
        m.setFlag(7);
        m.setBuyerId("buyer");
        Clients.producer(a.get("ns")).send(m, Clients.queue(a, 0));
        return Witness.seen("topic", Clients.read(a.get("ns"), a.get("topic")));
    }

    /** SEND_MESSAGE instead of SEND_MESSAGE_V2, as old clients do. */
    static Map<String, Object> longNames(Witness.Args a) throws Exception {
        Field smart = MQClientAPIImpl.class.getDeclaredField("sendSmartMsg");
        smart.setAccessible(true);
        smart.set(null, false);
        try {
            return sync(a);
        } finally {
            smart.set(null, true);
        }
    }

    /** Headers in RocketMQ's binary form instead of JSON, for a producer, a reader and a consumer. */
    static Map<String, Object> binary(Witness.Args a) throws Exception {
        Field type = RemotingCommand.class.getDeclaredField("serializeTypeConfigInThisServer");
        type.setAccessible(true);
        Object json = type.get(null);
        type.set(null, constant(type.getType(), "ROCKETMQ"));
        try {
            Map<String, Object> saw = batch(a);
            Clients.Inbox in = new Clients.Inbox();
            org.apache.rocketmq.client.consumer.DefaultMQPushConsumer c = Clients.start(a, Clients.push(a, a.get("group")), "*", in);
            in.await(4, 20);
            c.shutdown();
            saw.put("consumed", in.bodies());
            return saw;
        } finally {
            type.set(null, json);
        }
    }

    static Map<String, Object> tooLong(Witness.Args a) throws Exception {
        Message properties = Clients.message(a.get("topic"), "short");
        properties.putUserProperty("long", String.join("", Collections.nCopies(40000, "p")));
        byte[] noise = new byte[(4 << 20) + 1];
        new java.util.Random(1).nextBytes(noise);
        Map<String, Object> saw = Witness.seen("body", refusal(a, new Message(a.get("topic"), noise)), "properties", refusal(a, properties));
        saw.put("topic", Clients.read(a.get("ns"), a.get("topic")));
        return saw;
    }

    private static String refusal(Witness.Args a, Message m) throws Exception {
        DefaultMQProducer p = Clients.newProducer(a.get("ns"), "producers");
        p.setCompressMsgBodyOverHowmuch(Integer.MAX_VALUE);
        try {
            return Clients.result(p.send(m, Clients.queue(a, 0)));
        } catch (Exception e) {
            return Witness.error(e);
        } finally {
            p.shutdown();
        }
    }

    /** A topic that nobody created: the broker makes it after its template. */
    static Map<String, Object> newTopic(Witness.Args a) throws Exception {
        SendResult r = Clients.producer(a.get("ns")).send(Clients.message(a.get("topic"), "first"));
        int[] queues = {0};
        Witness.until(10, () -> {
            try {
                queues[0] = Clients.reader(a.get("ns")).fetchSubscribeMessageQueues(a.get("topic")).size();
            } catch (Exception e) {
                return false; // not registered yet
            }
            return queues[0] > 0;
        });
        return Witness.seen("status", r.getSendStatus(), "offset", r.getQueueOffset(), "queues", queues[0]);
    }

    /** All 18 levels, and two beyond; the short ones are waited for. */
    static Map<String, Object> delayLevels(Witness.Args a) throws Exception {
        Clients.Inbox in = new Clients.Inbox();
        org.apache.rocketmq.client.consumer.DefaultMQPushConsumer c = Clients.start(a, Clients.push(a, a.get("group")), "*", in);
        List<String> results = new ArrayList<>();
        long[] sent = new long[21];
        for (int level = 20; level >= 1; level--) {
            Message m = Clients.message(a.get("topic"), "level " + level);
            m.setDelayTimeLevel(level);
            sent[level] = System.currentTimeMillis();
            SendResult r = Clients.producer(a.get("ns")).send(m, Clients.queue(a, 0));
            results.add("level " + level + " " + r.getSendStatus() + " queue " + r.getMessageQueue().getQueueId());
        }
        in.await(2, 15);
        c.shutdown();
        int early = 0;
        List<String> came = new ArrayList<>();
        for (int i = 0; i < in.msgs.size(); i++) {
            int level = Integer.parseInt(Clients.text(in.msgs.get(i)).substring(6));
            early += in.times.get(i) - sent[level] < new long[] {0, 1000, 5000, 10000}[level] ? 1 : 0;
            came.add(Clients.tell(in.msgs.get(i)));
        }
        return Witness.seen("results", results, "came", came, "early", early);
    }
}
