#include "codegen/json_random_message.h"

#include <google/protobuf/any.pb.h>
#include <google/protobuf/descriptor.h>
#include <google/protobuf/duration.pb.h>
#include <google/protobuf/empty.pb.h>
#include <google/protobuf/field_mask.pb.h>
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <google/protobuf/struct.pb.h>
#include <google/protobuf/timestamp.pb.h>
#include <google/protobuf/wrappers.pb.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <set>
#include <string_view>
#include <vector>

#include "codegen/json_test.pb.h"

namespace starling::json::test {
namespace {

namespace pb = google::protobuf;
using pb::FieldDescriptor;
using pb::Message;
using pb::Reflection;

constexpr int kDeepest = 3;

class Filler {
 public:
  explicit Filler(std::mt19937_64& random) : random_(random) {}

  void Fill(Message* message, int depth) {
    if (FillOwnForm(message, depth)) return;
    const pb::Descriptor& type = *message->GetDescriptor();
    // About five fields of a large message, most of a small one, fewer the deeper.
    const double share = std::min(0.7, 5.0 / type.field_count()) / (1 + depth);
    for (int i = 0; i < type.field_count(); ++i) {
      const FieldDescriptor* const field = type.field(i);
      if (!Chance(share) || (depth >= kDeepest && field->message_type() != nullptr)) continue;
      FillField(message, field, depth);
    }
  }

 private:
  bool Chance(double probability) {
    return std::uniform_real_distribution<>(0, 1)(random_) < probability;
  }
  int Below(int bound) { return std::uniform_int_distribution<>(0, bound - 1)(random_); }
  int64_t Between(int64_t least, int64_t most) {
    return std::uniform_int_distribution<int64_t>(least, most)(random_);
  }

  template <typename T>
  T Integer() {
    switch (Below(6)) {
      case 0:
        return std::numeric_limits<T>::min();
      case 1:
        return std::numeric_limits<T>::max();
      case 2:
        return 0;
      case 3:
        return static_cast<T>(Below(100));
      case 4:
        return static_cast<T>(static_cast<T>(int64_t{1} << 53) + static_cast<T>(Below(3)));
      default:
        return static_cast<T>(random_());
    }
  }

  template <typename T>
  T Floating() {
    using Limits = std::numeric_limits<T>;
    switch (Below(12)) {
      case 0:
        return Limits::quiet_NaN();
      case 1:
        return Limits::infinity();
      case 2:
        return -Limits::infinity();
      case 3:
        return Limits::max();
      case 4:
        return Limits::lowest();
      case 5:
        return Limits::min();
      case 6:
        return Limits::denorm_min();
      case 7:
        return T{0};
      case 8:
        return static_cast<T>(Between(-1'000'000'000, 1'000'000'000));
      case 9:
        return static_cast<T>(Between(-1000, 1000)) / T{100};
      default: {
        const auto exponent =
            static_cast<int>(Between(Limits::min_exponent10, Limits::max_exponent10 - 1));
        return static_cast<T>(std::uniform_real_distribution<>(-10, 10)(random_) *
                              std::pow(10.0, exponent));
      }
    }
  }

  std::string String() {
    static constexpr std::string_view kPieces[] = {"a",
                                                   "product",
                                                   " ",
                                                   "\"",
                                                   "\\",
                                                   "/",
                                                   "\b\f\n\r\t",
                                                   std::string_view("\0", 1),
                                                   "\x01\x1f",
                                                   "\x7f",
                                                   "<>&'",
                                                   "\xc3\xa4",
                                                   "\xe2\x82\xac",
                                                   "\xe2\x80\xa8",
                                                   "\xf0\x9f\x98\x80",
                                                   "\xef\xbb\xbf",
                                                   "\xed\x9f\xbf",
                                                   "\xee\x80\x80",
                                                   "\xf4\x8f\xbf\xbf",
                                                   "\\u0041",
                                                   "0123456789abcdef0123456789"};
    std::string text;
    for (int pieces = Below(8); pieces > 0; --pieces) text += kPieces[Below(std::size(kPieces))];
    return text;
  }

  std::string Bytes() {
    std::string bytes(static_cast<size_t>(Below(20)), '\0');
    for (char& byte : bytes) byte = static_cast<char>(random_());
    return bytes;
  }

  std::string FieldPath() {
    static constexpr std::string_view kPaths[] = {"title", "price.currency_code", "long_field_name",
                                                  "x1", "a.b.some_d"};
    return std::string(kPaths[Below(std::size(kPaths))]);
  }

  int EnumNumber(const pb::EnumDescriptor& type) {
    if (type.full_name() == "google.protobuf.NullValue") return 0;
    if (Chance(0.1)) return 77;
    return type.value(Below(type.value_count()))->number();
  }

  void FillField(Message* message, const FieldDescriptor* field, int depth) {
    if (!field->is_repeated()) return FillValue(message, field, depth);
    const int count = 1 + Below(3);
    if (!field->is_map()) {
      for (int i = 0; i < count; ++i) FillValue(message, field, depth);
      return;
    }
    std::set<std::string> keys;
    for (int i = 0; i < count; ++i) {
      const std::unique_ptr<Message> entry(message->GetReflection()
                                               ->GetMessageFactory()
                                               ->GetPrototype(field->message_type())
                                               ->New());
      FillValue(entry.get(), field->message_type()->map_key(), depth);
      if (!keys.insert(entry->SerializePartialAsString()).second) continue;
      FillValue(entry.get(), field->message_type()->map_value(), depth);
      message->GetReflection()->AddMessage(message, field)->CopyFrom(*entry);
    }
  }

  void FillValue(Message* message, const FieldDescriptor* field, int depth) {
    const Reflection& reflection = *message->GetReflection();
    const bool add = field->is_repeated();
#define STARLING_FILL(Name, value)                         \
  return add ? reflection.Add##Name(message, field, value) \
             : reflection.Set##Name(message, field, value)
    switch (field->cpp_type()) {
      case FieldDescriptor::CPPTYPE_INT32:
        STARLING_FILL(Int32, Integer<int32_t>());
      case FieldDescriptor::CPPTYPE_INT64:
        STARLING_FILL(Int64, Integer<int64_t>());
      case FieldDescriptor::CPPTYPE_UINT32:
        STARLING_FILL(UInt32, Integer<uint32_t>());
      case FieldDescriptor::CPPTYPE_UINT64:
        STARLING_FILL(UInt64, Integer<uint64_t>());
      case FieldDescriptor::CPPTYPE_DOUBLE:
        STARLING_FILL(Double, Floating<double>());
      case FieldDescriptor::CPPTYPE_FLOAT:
        STARLING_FILL(Float, Floating<float>());
      case FieldDescriptor::CPPTYPE_BOOL:
        STARLING_FILL(Bool, Chance(0.5));
      case FieldDescriptor::CPPTYPE_ENUM:
        STARLING_FILL(EnumValue, EnumNumber(*field->enum_type()));
      case FieldDescriptor::CPPTYPE_STRING:
        STARLING_FILL(String, field->type() == FieldDescriptor::TYPE_BYTES ? Bytes() : String());
      case FieldDescriptor::CPPTYPE_MESSAGE:
        return Fill(
            add ? reflection.AddMessage(message, field) : reflection.MutableMessage(message, field),
            depth + 1);
    }
#undef STARLING_FILL
  }

  bool FillOwnForm(Message* message, int depth) {
    if (auto* timestamp = dynamic_cast<pb::Timestamp*>(message)) {
      timestamp->set_seconds(Between(-62'135'596'800, 253'402'300'799));
      timestamp->set_nanos(Nanos());
    } else if (auto* duration = dynamic_cast<pb::Duration*>(message)) {
      const int sign = Chance(0.5) ? 1 : -1;
      duration->set_seconds(sign * (Chance(0.3) ? 0 : Between(0, 315'576'000'000)));
      duration->set_nanos(sign * Nanos());
    } else if (auto* mask = dynamic_cast<pb::FieldMask*>(message)) {
      for (int paths = Below(4); paths > 0; --paths) mask->add_paths(FieldPath());
    } else if (auto* value = dynamic_cast<pb::Value*>(message)) {
      FillJson(value, depth);
    } else if (auto* any = dynamic_cast<pb::Any*>(message)) {
      FillAny(any, depth);
    } else {
      return false;
    }
    return true;
  }

  int32_t Nanos() {
    switch (Below(4)) {
      case 0:
        return 0;
      case 1:
        return Below(1000) * 1'000'000;
      case 2:
        return Below(1'000'000) * 1000;
      default:
        return Below(1'000'000'000);
    }
  }

  void FillJson(pb::Value* value, int depth) {
    switch (Below(depth < kDeepest ? 6 : 4)) {
      case 0:
        return value->set_null_value(pb::NULL_VALUE);
      case 1:
        return value->set_bool_value(Chance(0.5));
      case 2:
        return value->set_string_value(String());
      case 3: {
        const double number = Floating<double>();
        return value->set_number_value(std::isfinite(number) ? number : 0.5);
      }
      case 4:
        for (int i = Below(4); i > 0; --i)
          FillJson(&(*value->mutable_struct_value()->mutable_fields())[String()], depth + 1);
        value->mutable_struct_value();
        return;
      default:
        for (int i = Below(4); i > 0; --i)
          FillJson(value->mutable_list_value()->add_values(), depth + 1);
        value->mutable_list_value();
        return;
    }
  }

  void FillAny(pb::Any* any, int depth) {
    const std::unique_ptr<Message> held = [&]() -> std::unique_ptr<Message> {
      switch (Below(10)) {
        case 0:
          return std::make_unique<Everything>();
        case 1:
          return std::make_unique<Product>();
        case 2:
          return std::make_unique<Nothing>();
        case 3:
          return std::make_unique<pb::Empty>();
        case 4:
          return std::make_unique<pb::Timestamp>();
        case 5:
          return std::make_unique<pb::Duration>();
        case 6:
          return std::make_unique<pb::StringValue>();
        case 7:
          return std::make_unique<pb::Int64Value>();
        case 8:
          return std::make_unique<pb::Struct>();
        default:
          return std::make_unique<pb::Any>();
      }
    }();
    if (depth < kDeepest) Fill(held.get(), depth + 1);
    any->PackFrom(*held);
  }

  std::mt19937_64& random_;
};

// Serialises anew what every Any in the message holds.
void Canonicalise(Message* message) {
  if (auto* any = dynamic_cast<pb::Any*>(message); any != nullptr && !any->type_url().empty()) {
    const pb::Descriptor* const type = pb::DescriptorPool::generated_pool()->FindMessageTypeByName(
        any->type_url().substr(any->type_url().rfind('/') + 1));
    const std::unique_ptr<Message> held(
        pb::MessageFactory::generated_factory()->GetPrototype(type)->New());
    if (held->ParseFromString(any->value())) any->set_value(CanonicalBytes(*held));
    return;
  }
  const Reflection& reflection = *message->GetReflection();
  std::vector<const FieldDescriptor*> fields;
  reflection.ListFields(*message, &fields);
  for (const FieldDescriptor* field : fields) {
    if (field->cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE) continue;
    if (field->is_repeated()) {
      for (int i = 0; i < reflection.FieldSize(*message, field); ++i) {
        Canonicalise(reflection.MutableRepeatedMessage(message, field, i));
      }
    } else {
      Canonicalise(reflection.MutableMessage(message, field));
    }
  }
}

}  // namespace

void FillRandomly(Message* message, std::mt19937_64& random) { Filler(random).Fill(message, 0); }

std::string CanonicalBytes(const Message& message) {
  const std::unique_ptr<Message> copy(message.New());
  copy->CopyFrom(message);
  Canonicalise(copy.get());
  std::string bytes;
  {
    pb::io::StringOutputStream stream(&bytes);
    pb::io::CodedOutputStream coded(&stream);
    coded.SetSerializationDeterministic(true);
    copy->SerializeToCodedStream(&coded);
  }
  return bytes;
}

}  // namespace starling::json::test
