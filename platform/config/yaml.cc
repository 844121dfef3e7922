#include "platform/config/yaml.h"

#include <yaml.h>

#include <algorithm>
#include <exception>
#include <new>
#include <unordered_set>

namespace starling::config {
namespace {

struct Refusal {
  size_t line, column;  // from 0
  std::string message;
};

Refusal RefusalAt(const yaml_mark_t& mark, std::string message) {
  return {mark.line, mark.column, std::move(message)};
}

// Behind that much of the text.
Refusal RefusalAt(std::string_view before, std::string message) {
  const auto line = static_cast<size_t>(std::count(before.begin(), before.end(), '\n'));
  return {line, before.size() - (before.rfind('\n') + 1), std::move(message)};
}

// libyaml's events one after the other (it keeps its own stack, and never recurses). Each may be
// the last: what is refused here costs nothing more.
class Events {
 public:
  explicit Events(std::string_view text) {
    if (yaml_parser_initialize(&parser_) == 0) throw std::bad_alloc();
    yaml_parser_set_encoding(&parser_, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&parser_, reinterpret_cast<const unsigned char*>(text.data()),
                                 text.size());
  }
  ~Events() {
    yaml_event_delete(&event_);
    yaml_parser_delete(&parser_);
  }
  Events(const Events&) = delete;
  Events& operator=(const Events&) = delete;

  // Good until the next call; nullptr where the text is no YAML.
  const yaml_event_t* Next() {
    yaml_event_delete(&event_);
    return yaml_parser_parse(&parser_, &event_) != 0 ? &event_ : nullptr;
  }

  // Why there was no next.
  Refusal Error(std::string_view text) const {
    if (parser_.error == YAML_MEMORY_ERROR) throw std::bad_alloc();
    std::string message = fmt::format("is no valid YAML: {}", parser_.problem);
    // Of a byte that is none of a text libyaml knows the offset alone.
    if (parser_.error == YAML_READER_ERROR)
      return RefusalAt(text.substr(0, parser_.problem_offset), std::move(message));
    if (parser_.context != nullptr) {
      message += fmt::format(" {}", parser_.context);
      const yaml_mark_t& begin = parser_.context_mark;
      if (begin.index != parser_.problem_mark.index)
        message += fmt::format(", which begins at {}:{}", begin.line + 1, begin.column + 1);
    }
    // It takes the end of the text for a line of its own.
    const auto lines = static_cast<size_t>(std::count(text.begin(), text.end(), '\n'));
    if (parser_.problem_mark.line > lines) return RefusalAt(text, std::move(message));
    return RefusalAt(parser_.problem_mark, std::move(message));
  }

 private:
  yaml_parser_t parser_;
  yaml_event_t event_{};
};

std::string_view TextOf(const yaml_char_t* text, size_t size) {
  return {reinterpret_cast<const char*>(text), size};
}

// The null of YAML 1.2's core schema.
bool IsNull(std::string_view plain) {
  return plain.empty() || plain == "~" || plain == "null" || plain == "Null" || plain == "NULL";
}

class TreeBuilder {
 public:
  explicit TreeBuilder(std::string_view source) : source_(source) {}
  Node Take() { return std::move(root_); }

  // Throws Refusal.
  void Add(const yaml_event_t& event) {
    const yaml_mark_t& mark = event.start_mark;
    switch (event.type) {
      case YAML_ALIAS_EVENT:
        throw RefusalAt(mark, "aliases (*name) are not supported; write the value out");
      case YAML_SCALAR_EVENT: {
        const auto& scalar = event.data.scalar;
        RefuseExtras(mark, scalar.anchor, scalar.tag);
        const std::string_view text = TextOf(scalar.value, scalar.length);
        const bool is_plain = scalar.style == YAML_PLAIN_SCALAR_STYLE;
        return AddScalar(mark, text, is_plain);
      }
      case YAML_SEQUENCE_START_EVENT:
        RefuseExtras(mark, event.data.sequence_start.anchor, event.data.sequence_start.tag);
        return Start(mark, Node::kList);
      case YAML_MAPPING_START_EVENT:
        RefuseExtras(mark, event.data.mapping_start.anchor, event.data.mapping_start.tag);
        return Start(mark, Node::kMap);
      case YAML_SEQUENCE_END_EVENT:
      case YAML_MAPPING_END_EVENT:
        return End();
      default:
        return;
    }
  }

 private:
  struct Open {
    Node node;
    std::unordered_set<std::string> keys;
    bool has_key = false;  // of a map: the newest member waits for its value
  };

  bool AtKey() const {
    return !open_.empty() && open_.back().node.kind == Node::kMap && !open_.back().has_key;
  }
  Origin At(const yaml_mark_t& mark) const {
    return {Origin::kFile, fmt::format("{}:{}:{}", source_, mark.line + 1, mark.column + 1)};
  }
  static void RefuseExtras(const yaml_mark_t& mark, const yaml_char_t* anchor,
                           const yaml_char_t* tag) {
    if (anchor != nullptr)
      throw RefusalAt(mark, "anchors (&name) are not supported; write the value out");
    if (tag != nullptr) throw RefusalAt(mark, "tags (!name) are not supported; remove it");
  }
  void CountNode(const yaml_mark_t& mark) {
    if (++nodes_ > kMaxYamlNodes)
      throw RefusalAt(mark, fmt::format("more than {} values", kMaxYamlNodes));
  }
  void AddScalar(const yaml_mark_t& mark, std::string_view text, bool is_plain) {
    const bool is_null = is_plain && IsNull(text);
    if (AtKey()) return PutKey(mark, is_null ? "" : text);
    CountNode(mark);
    Node node = is_null ? Node() : Node::Scalar(std::string(text));
    node.is_text = !is_plain;
    node.origin = At(mark);
    Put(std::move(node));
  }
  void Start(const yaml_mark_t& mark, Node::Kind kind) {
    if (AtKey()) throw RefusalAt(mark, "a key is a list or a map; expected a name");
    if (open_.size() >= static_cast<size_t>(kMaxYamlDepth))
      throw RefusalAt(mark, fmt::format("nested more than {} levels deep", kMaxYamlDepth));
    CountNode(mark);
    open_.push_back({Node::Of(kind), {}, false});
    open_.back().node.origin = At(mark);
  }
  void End() {
    Node node = std::move(open_.back().node);
    open_.pop_back();
    Put(std::move(node));
  }
  void PutKey(const yaml_mark_t& mark, std::string_view text) {
    Open& map = open_.back();
    std::string key(text);
    if (key.empty()) throw RefusalAt(mark, "a key is empty; expected a name");
    if (!map.keys.insert(key).second)
      throw RefusalAt(mark, fmt::format("the key {} is there twice", Quoted(key)));
    map.node.members.push_back({std::move(key), At(mark), Node()});
    map.has_key = true;
  }
  void Put(Node node) {
    if (open_.empty()) {
      root_ = std::move(node);
    } else if (open_.back().node.kind == Node::kMap) {
      open_.back().node.members.back().value = std::move(node);
      open_.back().has_key = false;
    } else {
      open_.back().node.items.push_back(std::move(node));
    }
  }

  const std::string source_;
  size_t nodes_ = 0;
  std::vector<Open> open_;
  Node root_;
};

// Throws Refusal.
Node Parse(std::string_view text, std::string_view source) {
  TreeBuilder builder(source);
  Events events(text);
  bool had_document = false;
  for (;;) {
    const yaml_event_t* event = events.Next();
    if (event == nullptr) throw events.Error(text);
    if (event->type == YAML_STREAM_END_EVENT) return builder.Take();
    if (event->type == YAML_DOCUMENT_START_EVENT && std::exchange(had_document, true))
      throw RefusalAt(event->start_mark, "there are several documents (---); expected one");
    builder.Add(*event);
  }
}

}  // namespace

std::optional<Node> ParseYaml(std::string_view text, std::string_view source, Problems& problems) {
  const auto refuse = [&](const Refusal& refusal) {
    problems.Add(
        {Origin::kFile, fmt::format("{}:{}:{}", source, refusal.line + 1, refusal.column + 1)}, "",
        refusal.message);
    return std::nullopt;
  };
  if (text.size() > kMaxYamlBytes) {
    return refuse(
        {0, 0, fmt::format("{} bytes are above the limit of {}", text.size(), kMaxYamlBytes)});
  }
  if (const size_t zero = text.find('\0'); zero != std::string_view::npos)
    return refuse({0, 0, fmt::format("byte {} is zero: this is no text", zero)});
  Node root;
  try {
    root = Parse(text, source);
  } catch (const Refusal& refusal) {
    return refuse(refusal);
  } catch (const std::exception& error) {
    return refuse({0, 0, fmt::format("cannot be read as YAML: {}", error.what())});
  }
  if (root.kind == Node::kNull) root.kind = Node::kMap;
  if (root.origin.kind == Origin::kDefault) root.origin = {Origin::kFile, std::string(source)};
  return root;
}

}  // namespace starling::config
