#include "platform/config/value_type.h"

#include <charconv>
#include <cmath>

#include "platform/config/sources.h"

namespace starling::config {
namespace {

template <typename M>
bool ParseNumber(std::string_view text, M& value) {
  const char* const last = text.data() + text.size();
  const auto [end, error] = std::from_chars(text.data(), last, value);
  return error == std::errc() && end == last;
}

std::string KindName(const Node& node) {
  switch (node.kind) {
    case Node::kNull:
      return "nothing";
    case Node::kScalar:
      return "one value";
    case Node::kList:
      return "a list";
    case Node::kMap:
      return "a map";
  }
  return "";
}

}  // namespace

bool ParseScalar(std::string_view text, bool& value) {
  value = text == "true";
  return value || text == "false";
}
bool ParseScalar(std::string_view text, int& value) { return ParseNumber(text, value); }
bool ParseScalar(std::string_view text, unsigned& value) { return ParseNumber(text, value); }
bool ParseScalar(std::string_view text, int64_t& value) { return ParseNumber(text, value); }
bool ParseScalar(std::string_view text, uint64_t& value) { return ParseNumber(text, value); }
bool ParseScalar(std::string_view text, double& value) {
  return ParseNumber(text, value) && std::isfinite(value);
}
bool ParseScalar(std::string_view text, std::string& value) {
  value = text;
  return true;
}
bool ParseScalar(std::string_view text, Duration& value) {
  const std::optional<Duration> parsed = ParseDuration(text);
  // No setting means a time before now; "-1s" is a mistake everywhere.
  if (!parsed || *parsed < Duration(0)) return false;
  value = *parsed;
  return true;
}
bool ParseScalar(std::string_view text, Bytes& value) {
  const std::optional<Bytes> parsed = Bytes::Parse(text);
  if (parsed) value = *parsed;
  return parsed.has_value();
}

std::string FormatScalar(bool value) { return value ? "true" : "false"; }
std::string FormatScalar(int value) { return std::to_string(value); }
std::string FormatScalar(unsigned value) { return std::to_string(value); }
std::string FormatScalar(int64_t value) { return std::to_string(value); }
std::string FormatScalar(uint64_t value) { return std::to_string(value); }
std::string FormatScalar(double value) { return fmt::format("{}", value); }
std::string FormatScalar(const std::string& value) { return value; }
std::string FormatScalar(Duration value) { return FormatDuration(value); }
std::string FormatScalar(Bytes value) { return value.ToText(); }

template <>
std::string ScalarName<bool>() {
  return "true or false";
}
template <>
std::string ScalarName<int>() {
  return "an integer";
}
template <>
std::string ScalarName<unsigned>() {
  return "an integer, 0 or more";
}
template <>
std::string ScalarName<int64_t>() {
  return "an integer";
}
template <>
std::string ScalarName<uint64_t>() {
  return "an integer, 0 or more";
}
template <>
std::string ScalarName<double>() {
  return "a number";
}
template <>
std::string ScalarName<std::string>() {
  return "a text";
}
template <>
std::string ScalarName<Duration>() {
  return "a duration such as 250ms, 5s, 10m";
}
template <>
std::string ScalarName<Bytes>() {
  return "a size such as 16KiB, 64MiB";
}

void ScalarTypeBase::Read(const Node& node, const std::string& key, void* value,
                          Reading& reading) const {
  if (!CheckKind(node, Node::kScalar, key, Name(), reading)) return;
  if (!ReadText(node.text, value)) {
    reading.problems.Add(node.origin, key, fmt::format("{} is not {}", Quoted(node.text), Name()));
  }
}

bool CheckKind(const Node& node, Node::Kind kind, const std::string& key,
               const std::string& expected, Reading& reading) {
  if (node.kind == kind) return true;
  std::string_view remedy;
  if (node.kind == Node::kNull) {
    remedy = kind == Node::kList  ? "; write [] for an empty list, or leave the key out"
             : kind == Node::kMap ? "; write {} for an empty map, or leave the key out"
                                  : "; write \"\" for an empty text, or leave the key out";
  }
  reading.problems.Add(node.origin, key,
                       fmt::format("expected {}, found {}{}", expected, KindName(node), remedy));
  return false;
}

void SecretType::Read(const Node& node, const std::string& key, void* value,
                      Reading& reading) const {
  if (!CheckKind(node, Node::kScalar, key, Name(), reading)) return;
  if (node.text == kHiddenSecret) {
    reading.problems.Add(node.origin, key, "*** is how a secret is shown, not the secret itself");
    return;
  }
  *static_cast<Secret*>(value) = Secret(node.text);
}

void SecretType::ReadFile(const Node& path, const std::string& key, void* value,
                          Reading& reading) const {
  constexpr size_t kMaxSecretBytes = 64 << 10;
  if (!CheckKind(path, Node::kScalar, key, "the path of a file", reading)) return;
  reading.secret_files.push_back(path.text);
  StatusOr<std::string> content = ReadSmallFile(path.text, kMaxSecretBytes);
  if (!content.ok()) {
    reading.problems.Add(path.origin, key, std::string(content.status().message()));
    return;
  }
  while (!content->empty() && (content->back() == '\n' || content->back() == '\r'))
    content->pop_back();
  if (content->empty()) {
    reading.problems.Add(
        path.origin, key,
        fmt::format("the file {} is empty; expected a secret in it", Quoted(path.text)));
    return;
  }
  *static_cast<Secret*>(value) = Secret(*std::move(content));
}

Node SecretType::Write(const void* value) const {
  Node node = Node::Text(static_cast<const Secret*>(value)->Reveal());
  node.secret = true;
  return node;
}

void SecretType::Assign(const void* from, void* to) const {
  *static_cast<Secret*>(to) = *static_cast<const Secret*>(from);
}

bool SecretType::Same(const void* a, const void* b) const {
  return *static_cast<const Secret*>(a) == *static_cast<const Secret*>(b);
}

}  // namespace starling::config
