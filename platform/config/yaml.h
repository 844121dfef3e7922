// YAML text to Node and back.
//
//   Problems problems;
//   std::optional<Node> tree = ParseYaml("http: {port: 8080}", "starling.yaml", problems);
//   std::string text = WriteYaml(
//       *tree, [](const std::string& key, const Node& node) { return node.origin.text; });
//
// Read is what configuration needs of YAML 1.2: one document of maps with text keys, lists and
// scalars. Refused, with file:line:column: a key twice in a map, anchors and aliases, tags, a
// second document, and what is larger than the bounds below, before it can cost anything. No
// exception leaves.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "platform/config/node.h"
#include "platform/config/problem.h"

namespace starling::config {

inline constexpr size_t kMaxYamlBytes = 1 << 20;
inline constexpr int kMaxYamlDepth = 32;
inline constexpr size_t kMaxYamlNodes = 100'000;

// `source` names the text in problems and origins. An empty text is an empty map. nullopt with a
// problem.
std::optional<Node> ParseYaml(std::string_view text, std::string_view source, Problems& problems);

// Block style, two spaces a level. `comment` gives what stands behind a leaf's "# ", "" for
// nothing. Secrets are ***.
using Comment = std::function<std::string(const std::string& key, const Node& node)>;
std::string WriteYaml(const Node& root, const Comment& comment);

// A node on one line: text, "with: colon", [a, b], {a: b}, "***".
std::string WriteFlow(const Node& node);

}  // namespace starling::config
