#include "platform/config/problem.h"

#include "platform/base/id.h"

namespace starling::config {

void Problems::Add(const Origin& origin, std::string_view key, std::string message) {
  if (list_.size() < kMax) {
    list_.push_back({origin.text, std::string(key), std::move(message)});
  } else {
    ++more_;
  }
}

Status Problems::ToStatus() const {
  if (list_.empty()) return OkStatus();
  std::vector<FieldViolation> violations;
  for (const Problem& problem : list_) {
    if (problem.key.empty()) {
      violations.push_back({problem.source, problem.message});
    } else {
      violations.push_back({problem.key, problem.message + " (" + problem.source + ")"});
    }
  }
  if (more_ > 0) violations.push_back({"...", fmt::format("{} more mistakes", more_)});
  return InvalidFields(violations);
}

std::string Quoted(std::string_view value) {
  constexpr size_t kShown = 60;
  std::string text = "'";
  for (const char c : value.substr(0, kShown)) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      text += "\\x" + ToHex(std::string_view(&c, 1));
    } else {
      text += c;
    }
  }
  return text + (value.size() > kShown ? "...'" : "'");
}

const Node* Node::Find(std::string_view key) const {
  for (const Member& member : members) {
    if (member.key == key) return &member.value;
  }
  return nullptr;
}

Node* Node::Find(std::string_view key) { return const_cast<Node*>(std::as_const(*this).Find(key)); }

void Node::Remove(std::string_view key) {
  std::erase_if(members, [&](const Member& member) { return member.key == key; });
}

std::string JoinKey(std::string_view path, std::string_view name) {
  std::string key(path);
  if (!key.empty()) key += '.';
  return key.append(name);
}

std::vector<std::string> SplitKey(std::string_view key) {
  std::vector<std::string> parts;
  while (true) {
    const size_t dot = key.find('.');
    parts.emplace_back(key.substr(0, dot));
    if (dot == std::string_view::npos) return parts;
    key.remove_prefix(dot + 1);
  }
}

}  // namespace starling::config
