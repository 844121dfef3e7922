// A mapping as YAML:
//
//   fields:                               in the order that columns() gives them
//     TARGET: NAME                        one accepted name, all else as by default
//     TARGET: [NAME, ...]
//     TARGET: {from: NAME or list, type: T, required: true or false, default: TEXT,
//              format: TEXT or list}
#include <string>
#include <vector>

#include "platform/base/nearest.h"
#include "platform/config/yaml.h"
#include "platform/tabular/mapping.h"
#include "platform/tabular/mapping_cell.h"

namespace starling::tabular {
namespace {

using config::Node;
using config::Problems;

// A text, or a list of texts.
std::vector<std::string> Texts(const Node& node, const std::string& key, Problems& problems) {
  if (node.kind == Node::kScalar) return {node.text};
  std::vector<std::string> texts;
  for (const Node& item : node.items) {
    if (item.kind == Node::kScalar) {
      texts.push_back(item.text);
    } else {
      problems.Add(item.origin, key, "expected a text");
    }
  }
  if (node.kind != Node::kList || node.items.empty()) {
    problems.Add(node.origin, key, "expected a text, or a list of texts");
  }
  return texts;
}

void ReadOption(const config::Member& option, const std::string& key, FieldMapping& field,
                Problems& problems) {
  const Node& value = option.value;
  if (option.key == "from") {
    field.from = Texts(value, key, problems);
  } else if (option.key == "format") {
    field.formats = Texts(value, key, problems);
  } else if (value.kind != Node::kScalar && option.key != "from") {
    problems.Add(value.origin, key, "expected a text");
  } else if (option.key == "default") {
    field.default_value = value.text;
  } else if (option.key == "required") {
    if (value.text != "true" && value.text != "false") {
      problems.Add(value.origin, key, config::Quoted(value.text) + " is neither true nor false");
    }
    field.presence = value.text == "true" ? Presence::kRequired : Presence::kOptional;
  } else if (option.key == "type") {
    if (const std::optional<FieldType> type = TypeByName(value.text)) {
      field.type = *type;
    } else {
      problems.Add(value.origin, key,
                   config::Quoted(value.text) + " is no type" +
                       DidYouMean(value.text, {"text", "integer", "number", "boolean", "time"}) +
                       "; types are text, integer, number, boolean and time");
    }
  } else {
    problems.Add(option.origin, key,
                 "is unknown" +
                     DidYouMean(option.key, {"from", "type", "required", "default", "format"}) +
                     "; known are from, type, required, default and format");
  }
}

}  // namespace

StatusOr<Mapping> Mapping::FromYaml(std::string_view text, std::string_view source) {
  Problems problems;
  const std::optional<Node> root = config::ParseYaml(text, source, problems);
  if (!root.has_value()) return problems.ToStatus();
  std::vector<FieldMapping> fields;
  const Node* const list = root->Find("fields");
  if (list == nullptr || list->kind != Node::kMap) {
    problems.Add(root->origin, "fields", "expected a map of fields: TARGET: {from: NAME}");
    return problems.ToStatus();
  }
  for (const config::Member& member : root->members) {
    if (member.key != "fields") {
      problems.Add(member.origin, member.key, "is unknown; known is fields");
    }
  }
  for (const config::Member& member : list->members) {
    FieldMapping field;
    field.target = member.key;
    const std::string key = config::JoinKey("fields", member.key);
    if (member.value.kind == Node::kMap) {
      for (const config::Member& option : member.value.members) {
        ReadOption(option, config::JoinKey(key, option.key), field, problems);
      }
    } else if (member.value.kind != Node::kNull) {
      field.from = Texts(member.value, key, problems);
    }
    fields.push_back(std::move(field));
  }
  STARLING_RETURN_IF_ERROR(problems.ToStatus());
  return Make(std::move(fields));
}

}  // namespace starling::tabular
