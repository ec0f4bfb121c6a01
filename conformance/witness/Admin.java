import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.Map;

import org.apache.rocketmq.tools.command.MQAdminStartup;

/** mqadmin in this process, one command at a time: its output is the process's. */
final class Admin {
    private Admin() {
    }

    static void cases(Map<String, Witness.Case> all) {
        all.put("mqadmin", Admin::run);
    }

    private static synchronized Map<String, Object> run(Witness.Args a) throws Exception {
        PrintStream out = System.out;
        PrintStream err = System.err;
        ByteArrayOutputStream said = new ByteArrayOutputStream();
        PrintStream both = new PrintStream(said, true, "UTF-8");
        System.setOut(both);
        System.setErr(both);
        try {
            MQAdminStartup.main0(a.words.toArray(new String[0]), null);
        } finally {
            System.setOut(out);
            System.setErr(err);
        }
        return Witness.seen("out", new String(said.toByteArray(), StandardCharsets.UTF_8));
    }
}
