#include "platform/config/sources.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <fstream>
#include <system_error>

#include "platform/base/nearest.h"
#include "platform/config/fields.h"
#include "platform/config/yaml.h"

namespace starling::config {
namespace {

std::string Lower(std::string_view text) {
  std::string lower(text);
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](unsigned char c) { return std::tolower(c); });
  return lower;
}

// "http.idle_timeout" -> "HTTP_IDLE_TIMEOUT"
std::string VariableName(std::string_view key) {
  std::string name(key);
  std::transform(name.begin(), name.end(), name.begin(),
                 [](unsigned char c) { return c == '.' ? '_' : std::toupper(c); });
  return name;
}

std::string_view Trim(std::string_view text) {
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.front())))
    text.remove_prefix(1);
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.back())))
    text.remove_suffix(1);
  return text;
}

void SetOrigin(Node& node, const Origin& origin) {
  node.origin = origin;
  for (Node& item : node.items) SetOrigin(item, origin);
  for (Member& member : node.members) {
    member.origin = origin;
    SetOrigin(member.value, origin);
  }
}

void Merge(Node& into, Node from) {
  if (into.kind != Node::kMap || from.kind != Node::kMap) {
    into = std::move(from);
    return;
  }
  for (Member& member : from.members) {
    if (Node* known = into.Find(member.key)) {
      Merge(*known, std::move(member.value));
    } else {
      into.members.push_back(std::move(member));
    }
  }
}

// The value that a line of text means for a key of that type; nullopt with a problem.
std::optional<Node> ReadLine(const ValueType& type, const std::string& key, const std::string& text,
                             const Origin& origin, Problems& problems) {
  const std::string_view trimmed = Trim(text);
  Node node;
  const bool is_list = type.shape() == ValueType::kList;
  const bool is_map = type.shape() == ValueType::kMap || type.shape() == ValueType::kStruct;
  if ((is_list && trimmed.starts_with('[')) || (is_map && trimmed.starts_with('{'))) {
    std::optional<Node> parsed = ParseYaml(trimmed, origin.text, problems);
    if (!parsed) return std::nullopt;
    node = *std::move(parsed);
  } else if (is_map) {
    problems.Add(
        origin, key,
        fmt::format("{} is no map; expected {{name: value}}, or set the keys within one by one",
                    Quoted(text)));
    return std::nullopt;
  } else if (is_list) {
    node = Node::Of(Node::kList);
    for (std::string_view rest = trimmed; !rest.empty();) {
      const size_t comma = rest.find(',');
      node.items.push_back(Node::Text(std::string(Trim(rest.substr(0, comma)))));
      if (comma == std::string_view::npos) break;
      rest.remove_prefix(comma + 1);
    }
  } else {
    node = Node::Text(text);
  }
  SetOrigin(node, origin);
  return node;
}

// "key_file" beside a secret `key`, or the other way round: what a later layer says of one undoes
// the other.
std::string OtherFormOfSecret(const KeySpace& keys, std::vector<std::string> key) {
  constexpr std::string_view kFile = "_file";
  std::string name = key.back();
  if (const ValueType* type = keys.TypeAt(key);
      type != nullptr && type->shape() == ValueType::kSecret) {
    return name.append(kFile);
  }
  if (!name.ends_with(kFile)) return "";
  name.resize(name.size() - kFile.size());
  key.back() = name;
  const ValueType* type = keys.TypeAt(key);
  return type != nullptr && type->shape() == ValueType::kSecret ? name : "";
}

void Overlay(const KeySpace& keys, const std::vector<std::string>& key, const std::string& text,
             const Origin& origin, Node& root, Problems& problems) {
  std::string joined;
  for (const std::string& part : key) joined = JoinKey(joined, part);
  const ValueType* type = keys.TypeAt(key);
  if (type == nullptr) {
    if (!IsUnread(keys, joined)) AddUnknownKey(origin, joined, joined, keys.Keys(), problems);
    return;
  }
  std::optional<Node> value = ReadLine(*type, joined, text, origin, problems);
  if (!value) return;
  Node* at = &root;
  for (size_t i = 0; i + 1 < key.size(); ++i) {
    Node* next = at->Find(key[i]);
    if (next == nullptr) {
      Node map = Node::Of(Node::kMap);
      map.origin = origin;
      at->members.push_back({key[i], origin, std::move(map)});
      next = &at->members.back().value;
    }
    if (next->kind == Node::kNull) next->kind = Node::kMap;
    // The file has something else where a map belongs; reading the section will say so.
    if (next->kind != Node::kMap) return;
    at = next;
  }
  if (const std::string other = OtherFormOfSecret(keys, key); !other.empty()) at->Remove(other);
  if (Node* known = at->Find(key.back())) {
    Merge(*known, *std::move(value));
  } else {
    at->members.push_back({key.back(), origin, *std::move(value)});
  }
}

// Kubernetes sets <NAME>_SERVICE_HOST, <NAME>_SERVICE_PORT[_NAME], <NAME>_PORT=tcp://... and
// <NAME>_PORT_80_TCP[_...] for every service of a namespace; one whose name starts with "starling"
// is no configuration of ours.
bool IsKubernetesServiceVariable(std::string_view name, std::string_view value) {
  if (name.ends_with("SERVICE_HOST") || name.find("SERVICE_PORT") != std::string_view::npos)
    return true;
  for (const std::string_view scheme : {"tcp://", "udp://", "sctp://"}) {
    if (value.starts_with(scheme) && name.find("PORT") != std::string_view::npos) return true;
  }
  for (const std::string_view protocol : {"_TCP", "_UDP", "_SCTP"}) {
    const size_t at = name.find(protocol);
    if (at != std::string_view::npos && at > 0 &&
        std::isdigit(static_cast<unsigned char>(name[at - 1])) &&
        name.substr(0, at).find("PORT_") != std::string_view::npos) {
      return true;
    }
  }
  return false;
}

void MergeFile(const std::string& name, const StatusOr<std::string>& content, Node& root,
               Problems& problems) {
  if (!content.ok()) {
    problems.Add({Origin::kFile, name}, "", std::string(content.status().message()));
    return;
  }
  std::optional<Node> parsed = ParseYaml(*content, name, problems);
  if (!parsed) return;
  if (parsed->kind != Node::kMap) {
    problems.Add(parsed->origin, "", "expected sections (a map of keys) at the top of the file");
    return;
  }
  Merge(root, *std::move(parsed));
}

void ApplyVariable(const Sources& sources, const std::string& name, const std::string& value,
                   const KeySpace& keys, Node& root, Problems& problems) {
  const std::string rest = name.substr(sources.environment_prefix.size());
  const Origin origin{Origin::kEnvironment, name};
  if (rest.find("__") != std::string::npos) {
    std::string key = Lower(rest);
    for (size_t at = key.find("__"); at != std::string::npos; at = key.find("__", at))
      key.replace(at, 2, ".");
    Overlay(keys, SplitKey(key), value, origin, root, problems);
    return;
  }
  std::vector<std::string> matches;
  std::vector<std::string> names;
  for (const std::string& key : keys.Keys()) {
    names.push_back(sources.environment_prefix + VariableName(key));
    if (names.back() == name) matches.push_back(key);
  }
  if (matches.size() == 1) {
    Overlay(keys, SplitKey(matches.front()), value, origin, root, problems);
  } else if (matches.size() > 1) {
    problems.Add(origin, "",
                 fmt::format("may mean {} or {}; write __ for the dot", matches[0], matches[1]));
  } else if (!IsUnread(keys, Lower(rest), '_') && !IsKubernetesServiceVariable(rest, value)) {
    problems.Add(origin, "", "names no known key" + SuggestKey(name, names));
  }
}

void ReadCluster(Source& source, const KeySpace& keys, Node& root, Problems& problems) {
  const StatusOr<std::vector<Source::Document>> documents = source.Read();
  if (!documents.ok()) {
    problems.Add({Origin::kCluster, "cluster"}, "", std::string(documents.status().message()));
    return;
  }
  for (const Source::Document& document : *documents) {
    if (!document.key.empty()) continue;
    // An empty one says nothing: a file that is written in two steps is empty between them.
    if (Trim(document.content).empty()) continue;
    MergeFile(document.name, document.content, root, problems);
  }
  for (const Source::Document& document : *documents) {
    if (document.key.empty()) continue;
    Overlay(keys, SplitKey(document.key), document.content, {Origin::kCluster, document.name}, root,
            problems);
  }
}

}  // namespace

Sources::Pairs ProcessEnvironment() {
  Sources::Pairs pairs;
  for (char** at = environ; at != nullptr && *at != nullptr; ++at) {
    const std::string_view entry = *at;
    const size_t equals = entry.find('=');
    if (equals != std::string_view::npos)
      pairs.emplace_back(entry.substr(0, equals), entry.substr(equals + 1));
  }
  return pairs;
}

StatusOr<std::string> ReadSmallFile(const std::string& path, size_t limit) {
  struct stat about;
  if (::stat(path.c_str(), &about) != 0) {
    return NotFound("the file {} cannot be read: {}", Quoted(path),
                    std::system_category().message(errno));
  }
  if (!S_ISREG(about.st_mode)) return FailedPrecondition("{} is no plain file", Quoted(path));
  std::ifstream file(path, std::ios::binary);
  // As long as it is said to be, and a byte to see the end by; what grows meanwhile goes on.
  std::string content(std::min(limit, static_cast<size_t>(about.st_size)) + 1, '\0');
  size_t size = 0;
  for (;;) {
    file.read(content.data() + size, static_cast<std::streamsize>(content.size() - size));
    size += static_cast<size_t>(file.gcount());
    if (size < content.size() || size > limit) break;
    content.resize(std::min(limit + 1, content.size() * 2));
  }
  if (!file.eof() && file.fail()) {
    return NotFound("the file {} cannot be read: {}", Quoted(path),
                    std::system_category().message(errno));
  }
  content.resize(size);
  if (content.size() > limit) {
    return ResourceExhausted("the file {} is larger than the limit of {} bytes", Quoted(path),
                             limit);
  }
  return content;
}

bool IsUnread(const KeySpace& keys, std::string_view key, char separator) {
  for (std::string prefix : keys.UnreadPrefixes()) {
    if (prefix.empty()) return true;
    std::replace(prefix.begin(), prefix.end(), '.', separator);
    if (key == prefix || key.starts_with(prefix + separator)) return true;
  }
  return false;
}

void AddUnknownKey(const Origin& origin, const std::string& key, std::string_view name,
                   const std::vector<std::string>& known, Problems& problems) {
  problems.Add(origin, key, "is no known key" + (problems.full() ? "" : SuggestKey(name, known)));
}

std::string SuggestKey(std::string_view key, const std::vector<std::string>& keys) {
  const auto only_one = [&](auto matches) -> std::string {
    const std::string* match = nullptr;
    for (const std::string& known : keys) {
      if (!matches(known)) continue;
      if (match != nullptr) return "";
      match = &known;
    }
    return match == nullptr ? "" : fmt::format(" (did you mean '{}'?)", *match);
  };
  // Half a name, a name with a slip in it, the right name in the wrong section.
  const std::string start = std::string(key) + "_";
  std::string suggestion =
      only_one([&](const std::string& known) { return known.starts_with(start); });
  if (suggestion.empty()) suggestion = DidYouMean(key.substr(0, 200), keys);
  if (!suggestion.empty()) return suggestion;
  const std::string last = "." + std::string(key.substr(key.rfind('.') + 1));
  return only_one([&](const std::string& known) { return known.ends_with(last); });
}

Node MergeSources(const Sources& sources, const KeySpace& keys, Problems& problems) {
  Node root = Node::Of(Node::kMap);
  if (sources.cluster != nullptr) ReadCluster(*sources.cluster, keys, root, problems);
  if (!sources.file.empty() || sources.file_content.has_value()) {
    StatusOr<std::string> content = sources.file_content.has_value()
                                        ? StatusOr<std::string>(*sources.file_content)
                                        : ReadSmallFile(sources.file, kMaxYamlBytes);
    MergeFile(sources.file, content, root, problems);
  }
  for (const std::string& file : sources.more_files)
    MergeFile(file, ReadSmallFile(file, kMaxYamlBytes), root, problems);
  for (const auto& [key, value] : sources.assigned) {
    Overlay(keys, SplitKey(key), value, {Origin::kFile, sources.assigned_by}, root, problems);
  }
  for (const auto& [name, value] : sources.environment) {
    if (!name.starts_with(sources.environment_prefix)) continue;
    if (std::find(sources.ignored_variables.begin(), sources.ignored_variables.end(), name) !=
        sources.ignored_variables.end()) {
      continue;
    }
    ApplyVariable(sources, name, value, keys, root, problems);
  }
  for (const auto& [key, value] : sources.overrides) {
    Overlay(keys, SplitKey(key), value, {Origin::kCommandLine, "--set " + key}, root, problems);
  }
  return root;
}

}  // namespace starling::config
