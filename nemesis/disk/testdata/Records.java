import java.io.RandomAccessFile;
import java.nio.ByteBuffer;
import java.nio.MappedByteBuffer;
import java.nio.channels.FileChannel;
import java.util.Arrays;

/**
 * Writes records as Apache RocketMQ does: into a file of a fixed length through a mapping, and into another through a
 * channel. Arguments: directory, records to force one by one, records not to force. Then it says "ready" and waits.
 */
class Records {
    static final int RECORD = 1000;
    static final int LENGTH = 1 << 20;

    public static void main(String[] args) throws Exception {
        int forced = Integer.parseInt(args[1]);
        int lost = Integer.parseInt(args[2]);
        MappedByteBuffer map = open(args[0], "mapped").map(FileChannel.MapMode.READ_WRITE, 0, LENGTH);
        FileChannel written = open(args[0], "written");
        for (int i = 0; i < forced + lost; i++) {
            byte[] record = new byte[RECORD];
            Arrays.fill(record, (byte) (i < forced ? 'f' : 'l'));
            ByteBuffer view = map.duplicate();
            view.position(i * RECORD);
            view.put(record);
            written.write(ByteBuffer.wrap(record), (long) i * RECORD);
            if (i < forced) {
                map.force();
                written.force(false);
            }
        }
        System.out.println("ready");
        Thread.sleep(Long.MAX_VALUE);
    }

    static FileChannel open(String dir, String name) throws Exception {
        return new RandomAccessFile(dir + "/" + name, "rw").getChannel();
    }
}
