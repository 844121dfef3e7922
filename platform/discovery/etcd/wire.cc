#include "platform/discovery/etcd/wire.h"

#include <fmt/format.h>
#include <simdjson.h>

#include <algorithm>
#include <charconv>

#include "platform/discovery/address.h"
#include "platform/json/base64.h"
#include "platform/json/writer.h"

namespace starling::discovery::etcd {
namespace {

using simdjson::dom::element;

std::string Base64(std::string_view bytes) {
  std::string text(json::Base64Size(bytes.size()), '\0');
  json::EncodeBase64(bytes, text.data());
  return text;
}

Status Unreadable(std::string_view what, std::string_view json) {
  return DataLoss("etcd's answer has no {} that can be read: {}", what, json.substr(0, 200));
}

// Parses, and keeps what the elements point into.
class Document {
 public:
  explicit Document(std::string_view json) : json_(json) {
    parsed_ = parser_.parse(json.data(), json.size()).get(root_) == simdjson::SUCCESS &&
              root_.is_object();
  }
  bool parsed() const { return parsed_; }
  const element& root() const { return root_; }

 private:
  simdjson::dom::parser parser_;
  const std::string_view json_;
  element root_;
  bool parsed_ = false;
};

std::string_view TextOf(const element& object, const char* name) {
  std::string_view text;
  if (!object.is_object() || object[name].get_string().get(text) != simdjson::SUCCESS) return {};
  return text;
}

// A number as text, or as a number: other gateways than etcd's own write it so. 0 when it is
// absent.
int64_t NumberOf(const element& object, const char* name) {
  int64_t number = 0;
  if (!object.is_object()) return 0;
  if (object[name].get_int64().get(number) == simdjson::SUCCESS) return number;
  const std::string_view text = TextOf(object, name);
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

bool FlagOf(const element& object, const char* name) {
  bool flag = false;
  return object.is_object() && object[name].get_bool().get(flag) == simdjson::SUCCESS && flag;
}

// Empty bytes are left out by etcd.
std::optional<std::string> BytesOf(const element& object, const char* name) {
  return json::DecodeBase64(TextOf(object, name));
}

std::optional<std::string> KeyOf(const element& object) {
  std::optional<std::string> key = BytesOf(object, "key");
  return key && key->empty() ? std::nullopt : key;
}

// An array, or nothing when it is absent.
std::vector<element> ItemsOf(const element& object, const char* name) {
  simdjson::dom::array array;
  if (!object.is_object() || object[name].get_array().get(array) != simdjson::SUCCESS) return {};
  return {array.begin(), array.end()};
}

Header HeaderOf(const element& object) {
  element header;
  if (object["header"].get(header) != simdjson::SUCCESS) return {};
  return {.cluster = std::string(TextOf(header, "cluster_id")),
          .revision = NumberOf(header, "revision")};
}

// What a stream's answer wraps.
StatusOr<element> ResultOf(const Document& document, std::string_view json) {
  if (!document.parsed()) return Unreadable("JSON", json);
  element result;
  if (document.root()["result"].get(result) == simdjson::SUCCESS && result.is_object())
    return result;
  element error;
  if (document.root()["error"].get(error) == simdjson::SUCCESS) return ReadError(0, json);
  return Unreadable("result", json);
}

}  // namespace

std::string EndOfPrefix(std::string_view prefix) {
  std::string end(prefix);
  while (!end.empty() && static_cast<unsigned char>(end.back()) == 0xff) end.pop_back();
  if (end.empty()) return std::string(1, '\0');  // all keys
  end.back() = static_cast<char>(end.back() + 1);
  return end;
}

std::string RangeRequest(std::string_view prefix) {
  return fmt::format(R"({{"key":"{}","range_end":"{}"}})", Base64(prefix),
                     Base64(EndOfPrefix(prefix)));
}

std::string PutRequest(const Values& values, int64_t lease) {
  std::string puts;
  for (const auto& [key, value] : values) {
    puts += fmt::format(R"({}{{"request_put":{{"key":"{}","value":"{}","lease":"{}"}}}})",
                        puts.empty() ? "" : ",", Base64(key), Base64(value), lease);
  }
  return fmt::format(R"({{"success":[{}]}})", puts);
}

std::string DeleteRequest(std::string_view key) {
  return fmt::format(R"({{"key":"{}"}})", Base64(key));
}

std::string GrantRequest(Duration ttl) {
  return fmt::format(
      R"({{"TTL":"{}"}})",
      std::max<int64_t>(std::chrono::duration_cast<std::chrono::seconds>(ttl).count(), 1));
}

std::string LeaseRequest(int64_t lease) { return fmt::format(R"({{"ID":"{}"}})", lease); }

std::string CompactRequest(int64_t revision) {
  return fmt::format(R"({{"revision":"{}"}})", revision);
}

std::string WatchRequest(std::string_view prefix, int64_t revision) {
  return fmt::format(
      R"({{"create_request":{{"key":"{}","range_end":"{}","start_revision":"{}","progress_notify":true}}}})",
      Base64(prefix), Base64(EndOfPrefix(prefix)), revision);
}

StatusOr<RangeAnswer> ReadRange(std::string_view json) {
  const Document document(json);
  if (!document.parsed()) return Unreadable("JSON", json);
  RangeAnswer answer{.header = HeaderOf(document.root()), .values = {}};
  if (answer.header.revision <= 0) return Unreadable("revision", json);
  for (const element& item : ItemsOf(document.root(), "kvs")) {
    std::optional<std::string> key = KeyOf(item);
    std::optional<std::string> value = BytesOf(item, "value");
    if (!key || !value) return Unreadable("key and value", json);
    answer.values.insert_or_assign(*std::move(key), *std::move(value));
  }
  return answer;
}

StatusOr<int64_t> ReadGrant(std::string_view json) {
  const Document document(json);
  if (!document.parsed()) return Unreadable("JSON", json);
  const int64_t lease = NumberOf(document.root(), "ID");
  if (lease == 0) return Unreadable("lease", json);
  return lease;
}

StatusOr<bool> ReadKeepAlive(std::string_view json) {
  const Document document(json);
  STARLING_ASSIGN_OR_RETURN(const element result, ResultOf(document, json));
  return NumberOf(result, "TTL") > 0;
}

StatusOr<std::vector<int64_t>> ReadLeases(std::string_view json) {
  const Document document(json);
  if (!document.parsed()) return Unreadable("JSON", json);
  std::vector<int64_t> leases;
  for (const element& item : ItemsOf(document.root(), "leases"))
    leases.push_back(NumberOf(item, "ID"));
  return leases;
}

StatusOr<WatchAnswer> ReadWatch(std::string_view line) {
  const Document document(line);
  STARLING_ASSIGN_OR_RETURN(const element result, ResultOf(document, line));
  WatchAnswer answer{.header = HeaderOf(result),
                     .created = FlagOf(result, "created"),
                     .canceled = FlagOf(result, "canceled"),
                     .compacted = NumberOf(result, "compact_revision"),
                     .reason = std::string(TextOf(result, "cancel_reason")),
                     .changes = {}};
  for (const element& event : ItemsOf(result, "events")) {
    element kv;
    if (!event.is_object() || event["kv"].get(kv) != simdjson::SUCCESS)
      return Unreadable("key", line);
    Change change;
    std::optional<std::string> key = KeyOf(kv);
    if (!key) return Unreadable("key", line);
    change.key = *std::move(key);
    if (TextOf(event, "type") != "DELETE") {
      change.value = BytesOf(kv, "value");
      if (!change.value) return Unreadable("value", line);
    }
    answer.changes.push_back(std::move(change));
  }
  return answer;
}

Status ReadError(int http_status, std::string_view body) {
  const Document document(body);
  int64_t code = 0;
  std::string_view message;
  if (document.parsed()) {
    element error = document.root();
    element inner;  // of a stream
    if (error["error"].get(inner) == simdjson::SUCCESS && inner.is_object()) error = inner;
    code = NumberOf(error, "code");
    if (code == 0) code = NumberOf(error, "grpc_code");
    message = TextOf(error, "message");
    if (message.empty()) message = TextOf(error, "error");
  }
  if (code <= 0 || code > 16)
    return Unavailable("etcd answered {}: {}", http_status, body.substr(0, 200));
  return Status(static_cast<StatusCode>(code), fmt::format("etcd: {}", message));
}

std::string WriteRegistered(const Registered& registered) {
  json::Writer writer;
  writer.BeginObject();
  writer.Name("\"address\":");
  writer.String(registered.address);
  writer.Name("\"zone\":");
  writer.String(registered.zone);
  writer.Name("\"contract\":");
  writer.String(registered.contract);
  writer.Name("\"weight\":");
  writer.UInt32(registered.weight);
  writer.Name("\"admin\":");
  writer.String(registered.admin);
  writer.EndObject();
  return std::string(writer.text());
}

StatusOr<Registered> ReadRegistered(std::string_view json) {
  const Document document(json);
  if (!document.parsed()) return InvalidArgument("'{}' is no JSON", json.substr(0, 200));
  Registered registered{.address = std::string(TextOf(document.root(), "address")),
                        .zone = std::string(TextOf(document.root(), "zone")),
                        .contract = std::string(TextOf(document.root(), "contract"))};
  registered.admin = std::string(TextOf(document.root(), "admin"));
  STARLING_RETURN_IF_ERROR(CheckAddress(registered.address));
  const int64_t weight = NumberOf(document.root(), "weight");
  registered.weight =
      static_cast<uint32_t>(std::clamp<int64_t>(weight == 0 ? 1 : weight, 1, kMaxWeight));
  return registered;
}

}  // namespace starling::discovery::etcd
