import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.function.BooleanSupplier;

import org.apache.rocketmq.client.exception.MQBrokerException;
import org.apache.rocketmq.client.exception.MQClientException;

/**
 * Runs named cases with Apache's own client and tells what it saw; it judges nothing. A line on the standard input is a case:
 * id, name and key=value pairs with tabs between. Cases run side by side; each ends with one line of JSON on the standard output.
 * The source is compiled once, against the oldest client, and uses by reflection what another client names otherwise.
 */
public final class Witness {
    interface Case {
        Map<String, Object> run(Args a) throws Exception;
    }

    /** Args are the pairs of a line. */
    static final class Args {
        final Map<String, String> values = new HashMap<>();
        final List<String> words = new ArrayList<>(); // of "arg", in order

        String get(String key) {
            String value = values.get(key);
            if (value == null) {
                throw new IllegalArgumentException("no " + key + "=");
            }
            return value;
        }
    }

    /** The standard output as it was at the start: mqadmin's is caught. */
    private static final PrintStream OUT = System.out;

    private static final Map<String, Case> CASES = new HashMap<>();

    public static void main(String[] argv) throws Exception {
        Produce.cases(CASES);
        Consume.cases(CASES);
        Groups.cases(CASES);
        Again.cases(CASES);
        Query.cases(CASES);
        Admin.cases(CASES);
        ExecutorService threads = Executors.newCachedThreadPool();
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            String[] words = line.split("\t", -1);
            threads.execute(() -> perform(words));
        }
        threads.shutdown();
        threads.awaitTermination(1, TimeUnit.MINUTES);
        System.exit(0);
    }

    private static void perform(String[] words) {
        Args a = new Args();
        for (int i = 2; i < words.length; i++) {
            int at = words[i].indexOf('=');
            String key = words[i].substring(0, at);
            String value = words[i].substring(at + 1);
            if (key.equals("arg")) {
                a.words.add(value);
            } else {
                a.values.put(key, value);
            }
        }
        Map<String, Object> saw;
        long began = System.currentTimeMillis();
        try {
            Case c = CASES.get(words[1]);
            if (c == null) {
                throw new IllegalArgumentException("no case " + words[1]);
            }
            saw = c.run(a);
        } catch (Throwable e) {
            saw = seen("failed", error(e));
            e.printStackTrace();
        }
        StringBuilder b = new StringBuilder();
        json(b, seen("id", words[0], "case", words[1], "ms", System.currentTimeMillis() - began, "saw", saw));
        synchronized (OUT) {
            OUT.write((b + "\n").getBytes(StandardCharsets.UTF_8), 0, (b + "\n").getBytes(StandardCharsets.UTF_8).length);
            OUT.flush();
        }
    }

    /** Returns what was seen, sorted by name: pairs of a name and a value. */
    static Map<String, Object> seen(Object... pairs) {
        Map<String, Object> m = new TreeMap<>();
        for (int i = 0; i < pairs.length; i += 2) {
            m.put((String) pairs[i], pairs[i + 1]);
        }
        return m;
    }

    /** Returns an error as the broker said it: its code and its remark, or what the client itself says. */
    static String error(Throwable e) {
        for (Throwable t = e; t != null; t = t.getCause()) {
            if (t instanceof MQBrokerException) {
                MQBrokerException b = (MQBrokerException) t;
                return "broker " + b.getResponseCode() + " " + b.getErrorMessage();
            }
        }
        if (e instanceof MQClientException) {
            MQClientException c = (MQClientException) e;
            return "client " + c.getResponseCode() + " " + c.getErrorMessage();
        }
        return e.getClass().getSimpleName() + ": " + e.getMessage();
    }

    /** Waits until something holds, at most that many seconds, and reports whether it does. */
    static boolean until(int seconds, BooleanSupplier holds) throws InterruptedException {
        for (long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(seconds); !holds.getAsBoolean(); Thread.sleep(20)) {
            if (System.nanoTime() > end) {
                return false;
            }
        }
        return true;
    }

    private static void json(StringBuilder b, Object v) {
        if (v instanceof Map) {
            String comma = "{";
            for (Map.Entry<?, ?> e : ((Map<?, ?>) v).entrySet()) {
                b.append(comma);
                json(b, String.valueOf(e.getKey()));
                b.append(':');
                json(b, e.getValue());
                comma = ",";
            }
            b.append(comma.equals("{") ? "{}" : "}");
        } else if (v instanceof Iterable) {
            String comma = "[";
            for (Object e : (Iterable<?>) v) {
                b.append(comma);
                json(b, e);
                comma = ",";
            }
            b.append(comma.equals("[") ? "[]" : "]");
        } else if (v == null || v instanceof Number || v instanceof Boolean) {
            b.append(v);
        } else {
            quote(b, v.toString());
        }
    }

    private static void quote(StringBuilder b, String s) {
        b.append('"');
        for (char c : s.toCharArray()) {
            if (c == '"' || c == '\\') {
                b.append('\\').append(c);
            } else if (c < ' ' || Character.isSurrogate(c)) {
                b.append(String.format("\\u%04x", (int) c));
            } else {
                b.append(c);
            }
        }
        b.append('"');
    }
}
