// google.protobuf.Any: {"@type": "type.googleapis.com/<message>", ...}, the type looked up among
// this binary's own.
#include <google/protobuf/descriptor.h>
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

#include <memory>

#include "platform/json/reader.h"
#include "platform/json/reflection.h"
#include "platform/json/shown.h"
#include "platform/json/well_known.h"
#include "platform/json/writer.h"

namespace starling::json {
namespace {

namespace pb = google::protobuf;

// A new message of the type that the URL's last part names; null when this binary has no such type.
std::unique_ptr<pb::Message> NewMessage(std::string_view type_url) {
  const size_t slash = type_url.rfind('/');
  if (slash == std::string_view::npos) return nullptr;
  const pb::Descriptor* const type = pb::DescriptorPool::generated_pool()->FindMessageTypeByName(
      std::string(type_url.substr(slash + 1)));
  if (type == nullptr) return nullptr;
  const pb::Message* const prototype = pb::MessageFactory::generated_factory()->GetPrototype(type);
  if (prototype == nullptr) return nullptr;
  return std::unique_ptr<pb::Message>(prototype->New());
}

// Equal messages give equal bytes.
std::string Serialise(const pb::Message& message) {
  std::string bytes;
  {
    pb::io::StringOutputStream stream(&bytes);
    pb::io::CodedOutputStream coded(&stream);
    coded.SetSerializationDeterministic(true);
    message.SerializePartialToCodedStream(&coded);
  }
  return bytes;
}

void WriteHeld(const pb::Any& any, Writer& writer) {
  const std::unique_ptr<pb::Message> held = NewMessage(any.type_url());
  if (held == nullptr) {
    return writer.Unrepresentable(
        Internal("an Any holds the type '{}', which this binary does not know", any.type_url()));
  }
  if (!held->ParseFromString(any.value())) {
    return writer.Unrepresentable(Internal("the bytes in an Any are no '{}'", any.type_url()));
  }
  writer.BeginObject();
  writer.Name("\"@type\":");
  writer.String(any.type_url());
  if (HasOwnForm(*held->GetDescriptor())) {
    writer.Name("\"value\":");
    WriteByReflection(*held, writer);
  } else {
    WriteFieldsByReflection(*held, writer);
  }
  writer.EndObject();
}

// Looks through the object's own members for "@type"; the reader then stands where it stood.
bool FindType(Reader& reader, std::string* type_url) {
  const Reader::Position begin = reader.position();
  if (!reader.BeginObject("google.protobuf.Any")) return false;
  bool any_member = false;
  if (!reader.Passed('}')) {
    do {
      any_member = true;
      std::string_view key;
      if (!reader.Key() || !reader.DecodeKey(&key)) return false;
      if (key == "@type") {
        if (!reader.String(type_url)) return reader.InField("@type");
        break;
      }
      if (!reader.SkipUnchecked()) return false;
    } while (reader.Passed(','));
  }
  reader.LeaveLevel();
  reader.Rewind(begin);
  if (type_url->empty() && any_member) {
    return reader.Invalid(
        "an Any needs the type of what it holds: \"@type\": \"type.googleapis.com/...\"");
  }
  return true;
}

bool ReadHeldMember(Reader& reader, pb::Message* held) {
  std::string_view key;
  if (!reader.Key() || !reader.DecodeKey(&key)) return false;
  if (key == "@type") {
    std::string same;
    return reader.String(&same) || reader.InField("@type");
  }
  const pb::Descriptor& type = *held->GetDescriptor();
  const bool empty = type.full_name() == "google.protobuf.Empty";
  if (!empty && !HasOwnForm(type)) return ReadFieldByReflection(reader, key, held);
  static constexpr std::string_view kMembers[] = {"value"};
  if (key != kMembers[0]) return reader.UnknownField(key, kMembers);
  const bool means_null = type.well_known_type() == pb::Descriptor::WELLKNOWNTYPE_VALUE;
  if (!means_null && reader.SkipNull()) return true;
  return ReadByReflection(reader, held) || reader.InField(kMembers[0]);
}

}  // namespace

void WriteJson(const pb::Any& message, Writer& writer) {
  if (message.type_url().empty()) {
    writer.BeginObject();
    writer.EndObject();
    if (!message.value().empty()) writer.Note(Internal("an Any holds bytes but no type"));
    return;
  }
  if (writer.EnterAny()) {
    WriteHeld(message, writer);
  } else {
    writer.Unrepresentable(Internal("Any is nested in Any too deep"));
  }
  writer.LeaveAny();
}

bool ReadJson(Reader& reader, pb::Any* message) {
  std::string type_url;
  if (!FindType(reader, &type_url)) return false;
  message->Clear();
  std::unique_ptr<pb::Message> held;
  if (!type_url.empty()) {
    held = NewMessage(type_url);
    if (held == nullptr) {
      reader.Invalid(fmt::format(
          "'{}' names no type that is known here; give \"type.googleapis.com/<message>\"",
          Shown(type_url)));
      return reader.InField("@type");
    }
  }
  if (!reader.BeginObject("google.protobuf.Any")) return false;
  if (reader.Passed('}')) return reader.LeaveLevel();
  do {
    if (!ReadHeldMember(reader, held.get())) return false;
  } while (reader.Passed(','));
  if (!reader.EndObject()) return false;
  message->set_type_url(type_url);
  message->set_value(Serialise(*held));
  return true;
}

}  // namespace starling::json
