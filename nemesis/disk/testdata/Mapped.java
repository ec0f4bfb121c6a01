import java.io.RandomAccessFile;
import java.nio.ByteBuffer;
import java.nio.MappedByteBuffer;
import java.nio.channels.FileChannel;

/** Writes as Apache RocketMQ does: a preallocated file, mapped, part of it forced; and one through a channel. */
class Mapped {
    static final int PAGE = 4096;

    public static void main(String[] args) throws Exception {
        MappedByteBuffer map = new RandomAccessFile(args[0] + "/mapped", "rw").getChannel().map(FileChannel.MapMode.READ_WRITE, 0, 256 * PAGE);
        put(map, 0, 'f');
        map.force();
        put(map, 4 * PAGE, 'l');

        FileChannel channel = new RandomAccessFile(args[0] + "/written", "rw").getChannel();
        channel.write(page('f'), 0);
        channel.force(false);
        channel.write(page('l'), PAGE);

        System.out.println("ready");
        Thread.sleep(Long.MAX_VALUE);
    }

    static void put(MappedByteBuffer map, int at, char c) {
        ByteBuffer view = map.duplicate();
        view.position(at);
        view.put(page(c));
    }

    static ByteBuffer page(char c) {
        ByteBuffer page = ByteBuffer.allocate(PAGE);
        while (page.hasRemaining()) {
            page.put((byte) c);
        }
        page.flip();
        return page;
    }
}
