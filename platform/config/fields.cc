#include "platform/config/fields.h"

#include <cstdio>
#include <cstdlib>

#include "platform/config/sources.h"

namespace starling::config {
namespace {

constexpr std::string_view kFileSuffix = "_file";

bool IsFieldName(std::string_view name) {
  if (name.empty() || name.front() < 'a' || name.front() > 'z' || name.back() == '_') return false;
  if (name.find("__") != std::string_view::npos) return false;
  for (const char c : name) {
    if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '_') return false;
  }
  return true;
}

}  // namespace

const FieldBase* StructType::Find(std::string_view name) const {
  for (const auto& field : fields_) {
    if (field->name == name) return field.get();
  }
  return nullptr;
}

void StructType::Put(std::unique_ptr<FieldBase> field) {
  if (!IsFieldName(field->name) || Find(field->name) != nullptr) {
    std::fprintf(
        stderr,
        "fatal: the configuration field '%s' is not [a-z][a-z0-9_]* or is described twice\n",
        field->name.c_str());
    std::abort();
  }
  fields_.push_back(std::move(field));
}

Node StructType::Write(const void* value) const {
  Node node = Node::Of(Node::kMap);
  for (const auto& field : fields_)
    node.members.push_back({field->name, {}, field->type->Write(field->In(value))});
  return node;
}

bool StructType::Same(const void* a, const void* b) const {
  return std::all_of(fields_.begin(), fields_.end(), [&](const auto& field) {
    return field->type->Same(field->In(a), field->In(b));
  });
}

void StructType::Read(const Node& node, const std::string& key, void* value,
                      Reading& reading) const {
  // "http:" with nothing behind it says nothing about http.
  if (node.kind == Node::kNull) {
    Node empty = Node::Of(Node::kMap);
    empty.origin = node.origin;
    ReadMembers(empty, key, value, reading);
  } else if (CheckKind(node, Node::kMap, key, Name(), reading)) {
    ReadMembers(node, key, value, reading);
  }
}

void StructType::ReadMembers(const Node& node, const std::string& key, void* value,
                             Reading& reading) const {
  const size_t problems_before = reading.problems.size();
  std::vector<std::string> names;
  for (const auto& field : fields_) {
    names.push_back(field->name);
    if (field->type->shape() == ValueType::kSecret)
      names.push_back(field->name + std::string(kFileSuffix));
  }
  for (const Member& member : node.members) {
    if (std::find(names.begin(), names.end(), member.key) == names.end()) {
      AddUnknownKey(member.origin, JoinKey(key, member.key), member.key, names, reading.problems);
    }
  }
  Node nothing = Node::Of(Node::kMap);
  nothing.origin = node.origin;
  for (const auto& field : fields_) {
    const size_t before = reading.problems.size();
    const std::string field_key = JoinKey(key, field->name);
    const Node* given = node.Find(field->name);
    if (field->type->shape() == ValueType::kSecret) {
      if (const Node* path = node.Find(field->name + std::string(kFileSuffix))) {
        if (given != nullptr) {
          reading.problems.Add(path->origin, field_key,
                               "is given twice, itself and as a file; keep one");
          continue;
        }
        static_cast<const SecretType&>(*field->type)
            .ReadFile(*path, field_key + std::string(kFileSuffix), field->In(value), reading);
        given = path;
      } else if (given != nullptr) {
        field->type->Read(*given, field_key, field->In(value), reading);
      }
    } else if (given != nullptr) {
      field->type->Read(*given, field_key, field->In(value), reading);
    } else if (field->type->shape() == ValueType::kStruct) {
      // Not given, but its own required fields and rules still hold.
      field->type->Read(nothing, field_key, field->In(value), reading);
    }
    if (reading.problems.size() != before) continue;
    if (given == nullptr && field->required) {
      reading.problems.Add(node.origin, field_key,
                           fmt::format("is missing; expected {}", field->type->Name()));
      continue;
    }
    const std::string expected = field->Broken(value);
    if (!expected.empty()) {
      const Node written = field->type->Write(field->In(value));
      const std::string shown = written.secret                  ? "the secret"
                                : written.kind == Node::kScalar ? Quoted(written.text)
                                                                : "the value";
      reading.problems.Add(given != nullptr ? given->origin : node.origin, field_key,
                           fmt::format("{} breaks the rule; expected {}", shown, expected));
    }
  }
  if (reading.problems.size() != problems_before) return;
  for (const auto& check : checks_) {
    if (std::string broken = check(value); !broken.empty())
      reading.problems.Add(node.origin, key, std::move(broken));
  }
}

}  // namespace starling::config
