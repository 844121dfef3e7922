// A configuration before it has types: the tree that sources are read into and merged in, each node
// with its origin.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace starling::config {

// Where a value comes from, as a person would look for it.
struct Origin {
  enum Kind { kDefault, kCluster, kFile, kEnvironment, kCommandLine };
  Kind kind = kDefault;
  std::string text = "default";  // "starling.yaml:3:9", "STARLING_HTTP_PORT", "--set http.port"
};

struct Member;

struct Node {
  enum Kind { kNull, kScalar, kList, kMap };
  Kind kind = kNull;
  std::string text;      // of a scalar
  bool is_text = false;  // a scalar that is a string: written in quotes where YAML needs them
  bool secret = false;
  Origin origin;
  std::vector<Node> items;      // of a list
  std::vector<Member> members;  // of a map, in the source's order, keys unique

  static Node Scalar(std::string text);
  static Node Text(std::string text);
  static Node Of(Kind kind);

  const Node* Find(std::string_view key) const;
  Node* Find(std::string_view key);
  void Remove(std::string_view key);
};

struct Member {
  std::string key;
  Origin origin;  // of the key
  Node value;
};

inline Node Node::Of(Kind kind) {
  Node node;
  node.kind = kind;
  return node;
}

inline Node Node::Scalar(std::string text) {
  Node node = Of(kScalar);
  node.text = std::move(text);
  return node;
}

inline Node Node::Text(std::string text) {
  Node node = Scalar(std::move(text));
  node.is_text = true;
  return node;
}

// "http" and "port" make "http.port"; "" and "http" make "http".
std::string JoinKey(std::string_view path, std::string_view name);
std::vector<std::string> SplitKey(std::string_view key);

}  // namespace starling::config
