import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.zip.CRC32;

import org.apache.rocketmq.client.consumer.DefaultMQPullConsumer;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.PullResult;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;

/** Clients as the cases need them, and their results as text. */
final class Clients {
    private static final Map<String, DefaultMQProducer> PRODUCERS = new HashMap<>();
    private static final Map<String, DefaultMQPullConsumer> READERS = new HashMap<>();
    private static final AtomicInteger COUNT = new AtomicInteger();

    private Clients() {
    }

    /** Returns a name that no other client has. */
    static String name() {
        return "witness" + COUNT.incrementAndGet() + "-" + ProcessHandle.current().pid(); // one of another process would get its replies
    }

    /** Returns the producer that cases share: it tries once, and leaves all limits to the broker. */
    static synchronized DefaultMQProducer producer(String ns) throws Exception {
        DefaultMQProducer p = PRODUCERS.get(ns);
        if (p == null) {
            p = newProducer(ns, "producers");
            PRODUCERS.put(ns, p);
        }
        return p;
    }

    static DefaultMQProducer newProducer(String ns, String group) throws Exception {
        DefaultMQProducer p = new DefaultMQProducer(group);
        p.setNamesrvAddr(ns);
        p.setInstanceName(name());
        p.setRetryTimesWhenSendFailed(0);
        p.setRetryTimesWhenSendAsyncFailed(0);
        p.setSendMsgTimeout(10000);
        p.setMaxMessageSize(16 << 20);
        p.setPollNameServerInterval(1000);
        p.setHeartbeatBrokerInterval(1000);
        p.start();
        return p;
    }

    /** Sends text to a queue of the topic. */
    static SendResult send(Witness.Args a, int queue, String text) throws Exception {
        return producer(a.get("ns")).send(message(a.get("topic"), text), queue(a, queue));
    }

    /** Sends that many messages with the numbers from first on, to the queues in turn. */
    static void sendMany(Witness.Args a, int queues, int first, int count) throws Exception {
        for (int i = first; i < first + count; i++) {
            send(a, i % queues, String.format("%03d", i));
        }
    }

    static MessageQueue queue(Witness.Args a, int queue) {
        return new MessageQueue(a.get("topic"), a.get("broker"), queue);
    }

    static Message message(String topic, String text) {
        return new Message(topic, text.getBytes(StandardCharsets.UTF_8));
    }

    /** A push consumer of a group that does not run yet. */
    static DefaultMQPushConsumer push(Witness.Args a, String group) throws Exception {
        DefaultMQPushConsumer c = new DefaultMQPushConsumer(group);
        c.setNamesrvAddr(a.get("ns"));
        c.setInstanceName(name());
        c.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        c.setPersistConsumerOffsetInterval(500);
        c.setPollNameServerInterval(1000);
        c.setHeartbeatBrokerInterval(2000); // a busy client leaves out the heartbeat of its start, and is refused until the next
        c.setConsumeThreadMin(2);
        c.setConsumeThreadMax(2);
        return c;
    }

    /** Starts a push consumer that puts what it gets into the inbox. */
    static DefaultMQPushConsumer start(Witness.Args a, DefaultMQPushConsumer c, String tags, Inbox in) throws Exception {
        c.subscribe(a.get("topic"), tags);
        c.registerMessageListener((MessageListenerConcurrently) (msgs, context) -> {
            in.put(msgs);
            return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
        c.start();
        return c;
    }

    /** Inbox keeps deliveries in the order of their arrival. */
    static final class Inbox {
        final List<MessageExt> msgs = new CopyOnWriteArrayList<>();
        final List<Long> times = new CopyOnWriteArrayList<>();

        synchronized void put(List<MessageExt> more) {
            for (MessageExt m : more) {
                times.add(System.currentTimeMillis());
                msgs.add(m);
            }
        }

        boolean await(int count, int seconds) throws InterruptedException {
            return Witness.until(seconds, () -> msgs.size() >= count);
        }

        /** Returns whether count different bodies came. */
        boolean awaitDistinct(int count, int seconds) throws InterruptedException {
            return Witness.until(seconds, () -> new java.util.HashSet<>(bodies()).size() >= count);
        }

        /** The bodies, sorted. */
        List<String> bodies() {
            List<String> all = inOrder();
            Collections.sort(all);
            return all;
        }

        /** The different bodies, sorted: a message may come again while queues change hands. */
        List<String> distinct() {
            return new ArrayList<>(new java.util.TreeSet<>(bodies()));
        }

        List<String> inOrder() {
            List<String> all = new ArrayList<>();
            for (MessageExt m : msgs) {
                all.add(text(m));
            }
            return all;
        }
    }

    /** Returns a consumer that reads queues of its own choice, shared by the cases. */
    static synchronized DefaultMQPullConsumer reader(String ns) throws Exception {
        DefaultMQPullConsumer c = READERS.get(ns);
        if (c == null) {
            c = new DefaultMQPullConsumer("readers");
            c.setNamesrvAddr(ns);
            c.setInstanceName(name());
            c.setPollNameServerInterval(1000);
            c.start();
            READERS.put(ns, c);
        }
        return c;
    }

    /** Returns all that a topic holds, as text: queue by queue, in the order of their offsets. */
    static List<String> read(String ns, String topic) throws Exception {
        List<String> all = new ArrayList<>();
        for (MessageExt m : readAll(ns, topic)) {
            all.add(tell(m));
        }
        return all;
    }

    static List<MessageExt> readAll(String ns, String topic) throws Exception {
        DefaultMQPullConsumer c = reader(ns);
        List<MessageQueue> queues = new ArrayList<>(c.fetchSubscribeMessageQueues(topic));
        Collections.sort(queues);
        List<MessageExt> all = new ArrayList<>();
        for (MessageQueue q : queues) {
            for (long at = c.minOffset(q), end = c.maxOffset(q); at < end; ) {
                PullResult r = c.pull(q, "*", at, 32);
                if (r.getMsgFoundList() != null) {
                    all.addAll(r.getMsgFoundList());
                }
                at = r.getNextBeginOffset();
            }
        }
        return all;
    }

    /** Waits until a topic holds that many messages. */
    static boolean holds(String ns, String topic, int count, int seconds) throws Exception {
        return Witness.until(seconds, () -> {
            try {
                return readAll(ns, topic).size() >= count;
            } catch (Exception e) {
                return false; // the topic is not there yet
            }
        });
    }

    static String text(MessageExt m) {
        if (m.getBody().length <= 64) {
            return new String(m.getBody(), StandardCharsets.UTF_8);
        }
        CRC32 crc = new CRC32();
        crc.update(m.getBody());
        return m.getBody().length + " bytes, crc " + Long.toHexString(crc.getValue());
    }

    /** A message with all of it that does not depend on clocks, addresses and identifiers. */
    static String tell(MessageExt m) {
        Map<String, String> properties = new TreeMap<>(m.getProperties());
        properties.keySet().removeAll(Arrays.asList("MIN_OFFSET", "MAX_OFFSET", "CONSUME_START_TIME"));
        for (String id : Arrays.asList("UNIQ_KEY", "ORIGIN_MESSAGE_ID", "DLQ_ORIGIN_MESSAGE_ID", "CORRELATION_ID", "REPLY_TO_CLIENT", "PUSH_REPLY_TIME", "ARRIVE_TIME")) {
            properties.computeIfPresent(id, (key, value) -> "set");
        }
        return "queue " + m.getQueueId() + " offset " + m.getQueueOffset() + " topic " + topic(m.getTopic()) + " body " + text(m) + " flag " + m.getFlag()
            + " sysFlag " + m.getSysFlag() + " reconsumed " + m.getReconsumeTimes() + " properties " + properties;
    }

    /** The topic without the client's mark that the cases' topics end with. */
    static String topic(String name) {
        return name.replaceAll("_[a-z0-9]+$", "");
    }

    static String result(SendResult r) {
        return r.getSendStatus() + " queue " + r.getMessageQueue().getQueueId() + " offset " + r.getQueueOffset() + " ids " + r.getMsgId().split(",").length
            + " offset ids " + (r.getOffsetMsgId() == null ? "none" : r.getOffsetMsgId().split(",").length + " of " + r.getOffsetMsgId().split(",")[0].length())
            + " transaction " + (r.getTransactionId() == null ? "none" : "set") + " region " + r.getRegionId() + " trace " + r.isTraceOn();
    }
}
