#include <algorithm>
#include <array>

#include "platform/base/id.h"
#include "platform/config/types.h"
#include "platform/config/yaml.h"

namespace starling::config {
namespace {

bool IsPlain(std::string_view text) {
  constexpr std::array<std::string_view, 8> kOtherMeaning = {"true", "false", "null", "yes",
                                                             "no",   "on",    "off",  "nan"};
  const auto is_letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); };
  if (text.empty() || (!is_letter(text.front()) && text.front() != '/')) return false;
  std::string lower(text);
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](unsigned char c) { return std::tolower(c); });
  if (std::find(kOtherMeaning.begin(), kOtherMeaning.end(), lower) != kOtherMeaning.end())
    return false;
  return std::all_of(text.begin(), text.end(), [&](char c) {
    return is_letter(c) || (c >= '0' && c <= '9') || c == '_' || c == '-' || c == '.' || c == '/' ||
           c == '*';
  });
}

std::string WriteText(std::string_view text) {
  if (IsPlain(text)) return std::string(text);
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      quoted += '\\';
      quoted += c;
    } else if (c == '\n') {
      quoted += "\\n";
    } else if (c == '\t') {
      quoted += "\\t";
    } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      quoted += "\\x" + ToHex(std::string_view(&c, 1));
    } else {
      quoted += c;
    }
  }
  return quoted + '"';
}

void WriteMembers(const Node& node, const std::string& path, size_t indent, const Comment& comment,
                  std::string& out) {
  for (const Member& member : node.members) {
    const std::string key = JoinKey(path, member.key);
    out.append(indent, ' ').append(WriteText(member.key)).append(":");
    if (member.value.kind == Node::kMap && !member.value.members.empty()) {
      out += '\n';
      WriteMembers(member.value, key, indent + 2, comment, out);
      continue;
    }
    out.append(" ").append(WriteFlow(member.value));
    if (std::string text = comment(key, member.value); !text.empty()) {
      // Sources name files and keys that others chose: a line break in one must not end the
      // comment.
      std::replace_if(
          text.begin(), text.end(), [](unsigned char c) { return c < 0x20; }, ' ');
      out.append("  # ").append(text);
    }
    out += '\n';
  }
}

}  // namespace

std::string WriteFlow(const Node& node) {
  if (node.secret) return node.text.empty() ? "\"\"" : WriteText(kHiddenSecret);
  std::string out;
  switch (node.kind) {
    case Node::kNull:
      return "null";
    case Node::kScalar:
      return node.is_text ? WriteText(node.text) : node.text;
    case Node::kList:
      for (const Node& item : node.items) out += (out.empty() ? "" : ", ") + WriteFlow(item);
      return "[" + out + "]";
    case Node::kMap:
      for (const Member& member : node.members) {
        out += (out.empty() ? "" : ", ") + WriteText(member.key) + ": " + WriteFlow(member.value);
      }
      return "{" + out + "}";
  }
  return out;
}

std::string WriteYaml(const Node& root, const Comment& comment) {
  std::string out;
  WriteMembers(root, "", 0, comment, out);
  return out;
}

}  // namespace starling::config
