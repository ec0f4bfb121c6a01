import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;

import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendResult;
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

    /** A question is answered, and once more when who asked is gone. */
    static Map<String, Object> requestReply(Witness.Args a) throws Exception {
        DefaultMQProducer replies = Clients.newProducer(a.get("ns"), "replies");
        BlockingQueue<MessageExt> questions = new LinkedBlockingQueue<>();
        BlockingQueue<String> results = new LinkedBlockingQueue<>();
        DefaultMQPushConsumer c = Clients.push(a, a.get("group"));
        c.subscribe(a.get("topic"), "*");
        c.registerMessageListener((MessageListenerConcurrently) (msgs, context) -> {
            for (MessageExt m : msgs) {
                results.add(answer(replies, m, 50));
                questions.add(m);
            }
            return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
        c.start();
        Groups.awaitQueues(c, a.get("topic"), 1, 15);
        DefaultMQProducer requests = Clients.newProducer(a.get("ns"), "requests");
        String reply;
        try {
            reply = Clients.tell((MessageExt) requests.request(Clients.message(a.get("topic"), "a question"), 15000));
        } catch (Exception e) {
            reply = Witness.error(e).replaceAll("<[^>]*>", "<...>").replaceAll("\\d+ ms", "... ms");
        }
        requests.shutdown();
        MessageExt question = questions.poll(15, TimeUnit.SECONDS);
        Map<String, Object> saw = Witness.seen("reply", reply, "result", results.poll(), "afterwards", question == null ? "no question" : answer(replies, question, 0));
        c.shutdown();
        replies.shutdown();
        return saw;
    }

    /** Answers a message, again while the broker does not know who asked: a client may ask before its first heartbeat. */
    private static String answer(DefaultMQProducer replies, MessageExt m, int again) {
        for (int i = 0;; i++) {
            try {
                SendResult r = replies.send(MessageUtil.createReplyMessage(m, ("answer to " + Clients.text(m)).getBytes()));
                return Clients.result(r).replaceAll(" offset \\d+", ""); // every client's replies are there
            } catch (Exception e) {
                String error = Witness.error(e).replaceAll("<.*>", "<who asked>");
                if (i == again || !error.endsWith("not found.")) {
                    return error;
                }
            }
            try {
                Thread.sleep(100);
            } catch (InterruptedException e) {
                return Witness.error(e);
            }
        }
    }
}
