#include "platform/config/yaml.h"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <exception>
#include <sstream>
#include <unordered_set>

namespace starling::config {
namespace {

struct Refused : std::exception {
  Refused(const YAML::Mark& mark, std::string message) : mark(mark), message(std::move(message)) {}
  const char* what() const noexcept override { return message.c_str(); }
  YAML::Mark mark;
  std::string message;
};

// Builds the tree from yaml-cpp's events. The events come before the parser goes one level deeper,
// so that refusing here keeps its recursion within the bound; and no node of yaml-cpp, with its
// aliases, is ever made.
class TreeBuilder final : public YAML::EventHandler {
 public:
  explicit TreeBuilder(std::string_view source) : source_(source) {}
  Node Take() { return std::move(root_); }

  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    RefuseAnchor(mark, anchor);
    if (AtKey()) throw Refused(mark, "a key is empty; expected a name");
    Put(mark, Node());
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override {
    throw Refused(mark, "aliases (*name) are not supported; write the value out");
  }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    RefuseAnchor(mark, anchor);
    RefuseTag(mark, tag);
    if (AtKey()) return PutKey(mark, value);
    Node node = Node::Scalar(value);
    node.is_text = tag == "!";
    Put(mark, std::move(node));
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    Start(mark, tag, anchor, Node::kList);
  }
  void OnSequenceEnd() override { End(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    Start(mark, tag, anchor, Node::kMap);
  }
  void OnMapEnd() override { End(); }

 private:
  struct Open {
    Node node;
    std::unordered_set<std::string> keys;
    bool has_key = false;  // of a map: the newest member waits for its value
  };

  bool AtKey() const {
    return !open_.empty() && open_.back().node.kind == Node::kMap && !open_.back().has_key;
  }
  Origin At(const YAML::Mark& mark) const {
    return {Origin::kFile, fmt::format("{}:{}:{}", source_, mark.line + 1, mark.column + 1)};
  }
  void RefuseAnchor(const YAML::Mark& mark, YAML::anchor_t anchor) const {
    if (anchor != 0) throw Refused(mark, "anchors (&name) are not supported; write the value out");
  }
  void RefuseTag(const YAML::Mark& mark, const std::string& tag) const {
    if (!tag.empty() && tag != "?" && tag != "!")
      throw Refused(mark, "tags (!name) are not supported; remove it");
  }
  void CountNode(const YAML::Mark& mark) {
    if (++nodes_ > kMaxYamlNodes)
      throw Refused(mark, fmt::format("more than {} values", kMaxYamlNodes));
  }
  void Start(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
             Node::Kind kind) {
    RefuseAnchor(mark, anchor);
    RefuseTag(mark, tag);
    if (AtKey())
      throw Refused(mark, "a key is a list or a map, or a [ or { is not closed; expected a name");
    if (open_.size() >= static_cast<size_t>(kMaxYamlDepth)) {
      throw Refused(mark, fmt::format("nested more than {} levels deep", kMaxYamlDepth));
    }
    CountNode(mark);
    open_.push_back({Node::Of(kind), {}, false});
    open_.back().node.origin = At(mark);
  }
  void End() {
    Node node = std::move(open_.back().node);
    open_.pop_back();
    PutFinished(std::move(node));
  }
  void PutKey(const YAML::Mark& mark, const std::string& key) {
    Open& map = open_.back();
    if (key.empty()) throw Refused(mark, "a key is empty; expected a name");
    if (!map.keys.insert(key).second)
      throw Refused(mark, fmt::format("the key {} is there twice", Quoted(key)));
    map.node.members.push_back({key, At(mark), Node()});
    map.has_key = true;
  }
  void Put(const YAML::Mark& mark, Node node) {
    CountNode(mark);
    node.origin = At(mark);
    PutFinished(std::move(node));
  }
  void PutFinished(Node node) {
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

}  // namespace

std::optional<Node> ParseYaml(std::string_view text, std::string_view source, Problems& problems) {
  const auto refuse = [&](const YAML::Mark& mark, const std::string& message) {
    problems.Add({Origin::kFile, fmt::format("{}:{}:{}", source, mark.line + 1, mark.column + 1)},
                 "", message);
    return std::nullopt;
  };
  if (text.size() > kMaxYamlBytes) {
    return refuse({},
                  fmt::format("{} bytes are above the limit of {}", text.size(), kMaxYamlBytes));
  }
  if (const size_t zero = text.find('\0'); zero != std::string_view::npos) {
    return refuse({}, fmt::format("byte {} is zero: this is no text", zero));
  }
  TreeBuilder builder(source);
  try {
    std::istringstream stream{std::string(text)};
    YAML::Parser parser(stream);
    if (parser.HandleNextDocument(builder)) {
      TreeBuilder second(source);
      if (parser.HandleNextDocument(second))
        return refuse({}, "there are several documents (---); expected one");
    }
  } catch (const Refused& refused) {
    return refuse(refused.mark, refused.message);
  } catch (const YAML::Exception& error) {
    return refuse(error.mark, "is no valid YAML: " + error.msg);
  } catch (const std::exception& error) {
    return refuse({}, fmt::format("cannot be read as YAML: {}", error.what()));
  }
  Node root = builder.Take();
  if (root.kind == Node::kNull) root.kind = Node::kMap;
  if (root.origin.kind == Origin::kDefault) root.origin = {Origin::kFile, std::string(source)};
  return root;
}

}  // namespace starling::config
