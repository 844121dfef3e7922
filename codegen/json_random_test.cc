// The JSON codec against protobuf's own: 100,000 random messages each way.
#include <google/protobuf/util/json_util.h>
#include <gtest/gtest.h>

#include <map>
#include <random>
#include <string>
#include <vector>

#include "codegen/json_random_message.h"
#include "codegen/json_test.json.h"
#include "platform/json/reflection.h"

namespace starling::json::test {
namespace {

#ifdef STARLING_DEBUG
constexpr int kMessages = 5'000;  // the build with sanitizers is twenty times slower
#else
constexpr int kMessages = 100'000;
#endif
constexpr uint64_t kSeed = 20240229;

// Calls check(message) with each random message until one fails.
template <typename Check>
void ForRandomMessages(Check check) {
  std::mt19937_64 random(kSeed);
  for (int i = 0; i < kMessages && !testing::Test::HasFailure(); ++i) {
    SCOPED_TRACE(testing::Message() << "message " << i);
    Everything message;
    FillRandomly(&message, random);
    check(message);
  }
}

void ExpectSame(const Everything& read, const Everything& written, const std::string& text) {
  EXPECT_TRUE(CanonicalBytes(read) == CanonicalBytes(written)) << text << "\nread:\n"
                                                               << read.DebugString() << "written:\n"
                                                               << written.DebugString();
}

TEST(JsonCodecOnRandomMessages, SetEveryField) {
  std::map<std::string, int> times;
  ForRandomMessages([&](const Everything& message) {
    std::vector<const google::protobuf::FieldDescriptor*> fields;
    message.GetReflection()->ListFields(message, &fields);
    for (const auto* field : fields) ++times[field->name()];
  });
  for (int i = 0; i < Everything::descriptor()->field_count(); ++i) {
    const std::string& name = Everything::descriptor()->field(i)->name();
    if (name == "null_value") continue;  // its only value is its default
    EXPECT_GT(times[name], kMessages / 1000) << name;
  }
}

TEST(JsonCodecOnRandomMessages, ProtobufReadsWhatWeWrite) {
  ForRandomMessages([](const Everything& message) {
    const std::string text = ToJson(message);
    Everything read;
    const auto status = google::protobuf::util::JsonStringToMessage(text, &read);
    ASSERT_TRUE(status.ok()) << status.ToString() << "\n" << text;
    ExpectSame(read, message, text);
  });
}

TEST(JsonCodecOnRandomMessages, WeReadWhatProtobufWrites) {
  for (const bool snake_case : {true, false}) {
    google::protobuf::util::JsonPrintOptions options;
    options.preserve_proto_field_names = snake_case;
    int count = 0;
    ForRandomMessages([&](const Everything& message) {
      if (++count % 2 == (snake_case ? 0 : 1)) return;  // half of them in each form
      std::string text;
      const auto written = google::protobuf::util::MessageToJsonString(message, &text, options);
      ASSERT_TRUE(written.ok()) << written.ToString();
      Everything read;
      const Status status = FromJson(text, &read);
      ASSERT_TRUE(status.ok()) << status << "\n" << text;
      ExpectSame(read, message, text);
    });
  }
}

TEST(JsonCodecOnRandomMessages, WeReadWhatWeWriteAndReflectionAgrees) {
  ForRandomMessages([](const Everything& message) {
    const StatusOr<std::string> text = ToJsonChecked(message);
    ASSERT_TRUE(text.ok()) << text.status();
    Everything read;
    const Status status = FromJson(*text, &read);
    ASSERT_TRUE(status.ok()) << status << "\n" << *text;
    ExpectSame(read, message, *text);

    Writer writer;
    WriteByReflection(message, writer);
    EXPECT_EQ(writer.text(), *text);
    Everything read_by_reflection;
    Reader reader(*text);
    const Status by_reflection = reader.Finish(ReadByReflection(reader, &read_by_reflection));
    ASSERT_TRUE(by_reflection.ok()) << by_reflection << "\n" << *text;
    ExpectSame(read_by_reflection, message, *text);
  });
}

}  // namespace
}  // namespace starling::json::test
