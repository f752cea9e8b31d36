/* SPDX-License-Identifier: Apache-2.0
 *
 * Writes test vectors: messages of Kafka's protocol as Kafka's own Java client encodes them, one a
 * line: name, version, bytes in hexadecimal ("-" for none). The values come from a seeded random
 * source, so that the same client makes the same file.
 *
 *     java -cp 'kafka-clients-4.1.0.jar:jackson-*.jar:slf4j-api-*.jar' Generate.java \
 *         RequestHeader:1-2 MetadataRequest:0-13 ... > vectors.txt
 *
 * It builds each message as JSON from the message definitions that are in the client's jar, which
 * say what a version carries, and lets the client convert and encode that.
 */
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.BinaryNode;
import com.fasterxml.jackson.databind.node.BooleanNode;
import com.fasterxml.jackson.databind.node.DoubleNode;
import com.fasterxml.jackson.databind.node.IntNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.LongNode;
import com.fasterxml.jackson.databind.node.NullNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import com.fasterxml.jackson.databind.node.ShortNode;
import com.fasterxml.jackson.databind.node.TextNode;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.Map;
import java.util.Random;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.protocol.ByteBufferAccessor;
import org.apache.kafka.common.protocol.Message;
import org.apache.kafka.common.protocol.ObjectSerializationCache;

public class Generate {
    /* What an instance looks like. */
    enum Shape {
        BARE,   /* empty, zero, null where that is allowed; no tagged field */
        FULL,   /* two of each, nothing null, all tagged fields */
        WIDE,   /* strings and arrays whose compact length takes two bytes */
        RANDOM
    }

    static final Shape[] INSTANCES = {
        Shape.BARE, Shape.FULL, Shape.WIDE, Shape.RANDOM, Shape.RANDOM, Shape.RANDOM
    };

    final ObjectMapper mapper =
        new ObjectMapper().configure(JsonParser.Feature.ALLOW_COMMENTS, true);
    final Map<String, JsonNode> commonStructs = new HashMap<>();
    Random random;
    Shape shape;
    int version;

    static boolean covers(String range, int version) {
        if (range == null || range.equals("none"))
            return false;
        if (range.endsWith("+"))
            return version >= Integer.parseInt(range.substring(0, range.length() - 1));
        String[] ends = range.split("-");
        return version >= Integer.parseInt(ends[0])
            && version <= Integer.parseInt(ends[ends.length - 1]);
    }

    boolean covers(JsonNode field, String range) {
        return field.has(range) && covers(field.get(range).asText(), version);
    }

    static String jsonName(String name) {
        return Character.toLowerCase(name.charAt(0)) + name.substring(1);
    }

    boolean isTagged(JsonNode field) {
        return covers(field, "taggedVersions");
    }

    ObjectNode struct(JsonNode fields) {
        ObjectNode out = new ObjectNode(JsonNodeFactory.instance);
        for (JsonNode field : fields) {
            if (!covers(field, "versions"))
                continue;
            if (isTagged(field)
                && (shape == Shape.BARE || shape == Shape.RANDOM && random.nextBoolean()))
                continue;
            out.set(jsonName(field.get("name").asText()), value(field));
        }
        return out;
    }

    JsonNode value(JsonNode field) {
        if (covers(field, "nullableVersions")
            && (shape == Shape.BARE || shape == Shape.RANDOM && random.nextInt(3) == 0))
            return NullNode.instance;
        String type = field.get("type").asText();
        if (!type.startsWith("[]"))
            return element(field, type);
        ArrayNode array = new ArrayNode(JsonNodeFactory.instance);
        for (int count = arrayLength(field, type); count > 0; count--)
            array.add(element(field, type.substring(2)));
        return array;
    }

    int arrayLength(JsonNode field, String type) {
        return switch (shape) {
            case BARE -> 0;
            case FULL -> 2;
            case WIDE -> type.equals("[]int32") ? 127 : 1;
            case RANDOM -> random.nextInt(4);
        };
    }

    JsonNode element(JsonNode field, String type) {
        boolean bare = shape == Shape.BARE;
        switch (type) {
            case "bool": return BooleanNode.valueOf(!bare && random.nextBoolean());
            case "int8": return new ShortNode(bare ? 0 : (byte) random.nextInt());
            case "int16": return new ShortNode(bare ? 0 : (short) random.nextInt());
            case "uint16": return new IntNode(bare ? 0 : random.nextInt(65536));
            case "int32": return new IntNode(bare ? 0 : random.nextInt());
            case "int64": return new LongNode(bare ? 0 : random.nextLong());
            case "float64": return new DoubleNode(bare ? 0 : random.nextGaussian());
            case "uuid": return new TextNode(
                new Uuid(bare ? 0 : random.nextLong(), bare ? 0 : random.nextLong()).toString());
            case "string": return new TextNode(string(length()));
            case "bytes", "records": return new BinaryNode(bytes(length()));
            default: return struct(field.has("fields") ? field.get("fields")
                                                       : commonStructs.get(type));
        }
    }

    int length() {
        return switch (shape) {
            case BARE -> 0;
            case FULL -> 1 + random.nextInt(12);
            case WIDE -> 127 + random.nextInt(40);
            case RANDOM -> random.nextInt(20);
        };
    }

    String string(int length) {
        StringBuilder out = new StringBuilder();
        while (out.length() < length)
            out.append((char) ('a' + random.nextInt(26)));
        return out.toString();
    }

    byte[] bytes(int length) {
        byte[] out = new byte[length];
        random.nextBytes(out);
        return out;
    }

    JsonNode definition(String name) throws Exception {
        try (InputStream in = Message.class.getResourceAsStream(
                 "/common/message/" + name + ".json")) {
            return mapper.readTree(in);
        }
    }

    void generate(String name, int first, int last) throws Exception {
        JsonNode definition = definition(name);
        commonStructs.clear();
        if (definition.has("commonStructs"))
            for (JsonNode struct : definition.get("commonStructs"))
                commonStructs.put(struct.get("name").asText(), struct.get("fields"));
        Class<?> converter =
            Class.forName("org.apache.kafka.common.message." + name + "DataJsonConverter");
        for (version = first; version <= last; version++) {
            random = new Random(name.hashCode() * 31L + version);
            for (Shape each : INSTANCES) {
                shape = each;
                ObjectNode json = struct(definition.get("fields"));
                Message message = (Message) converter
                    .getMethod("read", JsonNode.class, short.class)
                    .invoke(null, json, (short) version);
                print(name, message);
            }
        }
    }

    void print(String name, Message message) throws Exception {
        ObjectSerializationCache cache = new ObjectSerializationCache();
        byte[] bytes = new byte[message.size(cache, (short) version)];
        message.write(new ByteBufferAccessor(ByteBuffer.wrap(bytes)), cache, (short) version);
        String hex = bytes.length == 0 ? "-" : HexFormat.of().formatHex(bytes);
        System.out.println(name + " " + version + " " + hex);
    }

    public static void main(String[] arguments) throws Exception {
        Generate generate = new Generate();
        for (String argument : arguments) {
            String[] parts = argument.split("[:-]");
            generate.generate(parts[0], Integer.parseInt(parts[1]), Integer.parseInt(parts[2]));
        }
    }
}
