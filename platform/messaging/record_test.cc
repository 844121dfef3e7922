#include "platform/messaging/record.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "platform/messaging/event_log.h"

namespace starling::messaging {
namespace {

using testing::HasSubstr;

Event Sample() {
  Event event{.id = "e-1",
              .source = "/test",
              .type = "starling.test.v1",
              .subject = "s",
              .time = TimePoint(Duration(-5))};
  event.datacontenttype = "text/plain";
  event.partitionkey = "k";
  event.traceparent = "00-x";
  event.extensions = {{"a", "b"}, {"c", ""}};
  event.data = std::string("\0\xff data", 7);
  return event;
}

TEST(Event, RoundTripsThroughItsBytes) {
  const auto back = DecodeEvent(EncodeEvent(Sample()));
  ASSERT_TRUE(back.ok()) << back.status();
  EXPECT_EQ(*back, Sample());
}

TEST(Event, IsRefusedWhenCutAnywhereOrLongerThanItself) {
  const std::string bytes = EncodeEvent(Sample());
  for (size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_EQ(DecodeEvent(bytes.substr(0, size)).status().code(), StatusCode::kDataLoss) << size;
  }
  EXPECT_FALSE(DecodeEvent(bytes + "x").ok());
}

TEST(Event, NamesTheAttributeThatIsWrong) {
  struct {
    const char* field;
    void (*spoil)(Event&);
  } const rows[] = {{"id", [](Event& e) { e.id.clear(); }},
                    {"source", [](Event& e) { e.source.clear(); }},
                    {"type", [](Event& e) { e.type.clear(); }},
                    {"subject", [](Event& e) { e.subject.assign(5'000, 'x'); }},
                    {"extensions", [](Event& e) { e.extensions.resize(33); }},
                    {"data", [](Event& e) { e.data.assign(kMaxEventBytes + 1, 'x'); }}};
  EXPECT_TRUE(Validate(Sample()).ok());
  for (const auto& row : rows) {
    Event event = Sample();
    row.spoil(event);
    const auto violations = FieldViolations(Validate(event));
    ASSERT_EQ(violations.size(), 1u) << row.field;
    EXPECT_EQ(violations[0].field, row.field);
  }
}

TEST(Record, TellsWholeFromCutFromDamaged) {
  std::string bytes;
  AppendRecord(7, 3, Sample(), bytes);
  const RecordView record = ReadRecord(bytes);
  EXPECT_EQ(record.state, RecordView::kWhole);
  EXPECT_EQ(record.sequence, 7u);
  EXPECT_EQ(record.partition, 3);
  EXPECT_EQ(record.size, bytes.size());
  for (size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_EQ(ReadRecord(std::string_view(bytes).substr(0, size)).state, RecordView::kCut) << size;
  }
  for (size_t at = 0; at < bytes.size(); ++at) {
    std::string damaged = bytes;
    damaged[at] = static_cast<char>(damaged[at] ^ 0x40);
    EXPECT_NE(ReadRecord(damaged).state, RecordView::kWhole) << at;
  }
}

}  // namespace
}  // namespace starling::messaging
