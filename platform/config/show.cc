#include <algorithm>

#include "platform/base/hash.h"
#include "platform/config/registry_state.h"
#include "platform/config/yaml.h"

namespace starling::config {
namespace {

std::string WithoutArticle(std::string name) {
  for (const std::string_view article : {"an ", "a "}) {
    if (name.starts_with(article)) return name.substr(article.size());
  }
  return name;
}

std::string Cell(std::string text) {
  for (size_t at = text.find('|'); at != std::string::npos; at = text.find('|', at + 2))
    text.insert(at, "\\");
  return text;
}

void DocumentFields(const StructType& type, const std::string& prefix, const void* defaults,
                    std::string& out) {
  for (const auto& field : type.fields()) {
    const std::string key = JoinKey(prefix, field->name);
    const void* value = std::as_const(*field).In(defaults);
    if (const StructType* inner = field->type->AsStruct()) {
      DocumentFields(*inner, key, value, out);
      continue;
    }
    const bool map = field->type->shape() == ValueType::kMap;
    const bool many = map || field->type->shape() == ValueType::kList;
    const StructType* element = many ? field->type->element()->AsStruct() : nullptr;
    std::string kind = element == nullptr ? WithoutArticle(field->type->Name())
                       : map              ? "map, its keys below"
                                          : "list, its keys below";
    if (!field->rule.empty()) kind += ", " + field->rule;
    const std::string fallback =
        field->required ? "required" : "`" + WriteFlow(field->type->Write(value)) + "`";
    out += fmt::format("| `{}` | {} | {} | {} | {} |\n", key, Cell(kind), Cell(fallback),
                       field->needs_restart ? "restart" : "live", Cell(field->doc));
    if (element != nullptr)
      DocumentFields(*element, key + (map ? ".<name>" : "[]"), element->New().get(), out);
  }
}

// The map at a dotted path, made where it is missing.
Node& MapAt(Node& root, std::string_view path) {
  Node* at = &root;
  for (const std::string& part : SplitKey(path)) {
    if (at->Find(part) == nullptr) at->members.push_back({part, {}, Node::Of(Node::kMap)});
    at = at->Find(part);
  }
  return *at;
}

void CollectLeaves(const Node& node, const std::string& key, const Registry::OfSecret& of_secret,
                   std::map<std::string, std::string>& leaves) {
  if (node.secret) {
    leaves[key] = of_secret(key, node.text);
  } else if (node.kind == Node::kMap) {
    for (const Member& member : node.members)
      CollectLeaves(member.value, JoinKey(key, member.key), of_secret, leaves);
  } else {
    leaves[key] = WriteFlow(node);
  }
}

}  // namespace

std::string Registry::Show() const {
  const std::lock_guard lock(state_->mutex);
  Node root = Node::Of(Node::kMap);
  for (const SectionEntry& section : state_->sections) {
    MapAt(root, section.name) = section.type->Write(section.get().get());
  }
  return WriteYaml(root, [&](const std::string& key, const Node&) {
    const auto pending = std::find_if(state_->pending.begin(), state_->pending.end(),
                                      [&](const Pending& one) { return one.key == key; });
    if (pending == state_->pending.end()) return SourceOf(state_->tree, key);
    return fmt::format("running; {} says {}, which needs a restart", pending->source,
                       pending->wanted);
  });
}

std::string Registry::Documentation() const {
  std::string out;
  for (const SectionEntry& section : state_->sections) {
    out += fmt::format("{}## {}\n\n{}{}", out.empty() ? "" : "\n", section.name, section.doc,
                       section.doc.empty() ? "" : "\n\n");
    out += "| key | type | default | change | what it is |\n|---|---|---|---|---|\n";
    DocumentFields(*section.type, section.name, section.type->New().get(), out);
  }
  return out;
}

std::map<std::string, std::string> Registry::Values(const OfSecret& of_secret) const {
  std::map<std::string, std::string> values;
  for (const SectionEntry& section : state_->sections) {
    CollectLeaves(section.type->Write(section.get().get()), section.name, of_secret, values);
  }
  return values;
}

std::string Registry::Digest() const {
  std::string all;
  for (const auto& [key, value] : Values([](const auto&, const auto&) { return ""; }))
    all += key + ": " + value + "\n";
  return fmt::format("{:016x}", Hash64(all));
}

}  // namespace starling::config
