// How a value of one type is read from a Node, written to one, and named to people. The types
// behind Fields<T>.
//
// Built in: bool, int, int64_t, unsigned, uint64_t, double, std::string, Duration, Bytes, Secret;
// lists and maps (with text keys) of any of them; structs that have Describe (fields.h); enums by a
// table of names.
#pragma once

#include <algorithm>
#include <concepts>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "platform/base/clock.h"
#include "platform/config/node.h"
#include "platform/config/problem.h"
#include "platform/config/types.h"

namespace starling::config {

class StructType;

// What reading needs beside the tree, and what it finds out.
struct Reading {
  Problems problems;
  std::vector<std::string> secret_files;  // read, or tried
};

// Immutable. `value` points to an object of the C++ type that the ValueType was made for.
class ValueType {
 public:
  enum Shape { kScalar, kSecret, kList, kMap, kStruct };
  virtual ~ValueType() = default;
  virtual Shape shape() const = 0;
  virtual std::string Name()
      const = 0;  // with its article: "an integer", for errors; the table drops the article
  // Leaves `value` as it was, or half changed, where it adds a problem.
  virtual void Read(const Node& node, const std::string& key, void* value,
                    Reading& reading) const = 0;
  virtual Node Write(const void* value) const = 0;
  virtual void Assign(const void* from, void* to) const = 0;
  virtual bool Same(const void* a, const void* b) const = 0;
  // The type of a list's items or a map's values; nullptr for others.
  virtual const ValueType* element() const { return nullptr; }
  // The value under a key of a map; nullptr when it is not there, or this is no map.
  virtual void* FindIn(void*, std::string_view) const { return nullptr; }
  // The keys of a map; none of others.
  virtual std::vector<std::string> KeysOf(const void*) const { return {}; }
  virtual const StructType* AsStruct() const { return nullptr; }
};

using ValueTypePtr = std::shared_ptr<const ValueType>;

// nullopt-like: false when `text` is not a value of the type.
bool ParseScalar(std::string_view text, bool& value);
bool ParseScalar(std::string_view text, int& value);
bool ParseScalar(std::string_view text, unsigned& value);
bool ParseScalar(std::string_view text, int64_t& value);
bool ParseScalar(std::string_view text, uint64_t& value);
bool ParseScalar(std::string_view text, double& value);
bool ParseScalar(std::string_view text, std::string& value);
bool ParseScalar(std::string_view text, Duration& value);
bool ParseScalar(std::string_view text, Bytes& value);
std::string FormatScalar(bool value);
std::string FormatScalar(int value);
std::string FormatScalar(unsigned value);
std::string FormatScalar(int64_t value);
std::string FormatScalar(uint64_t value);
std::string FormatScalar(double value);
std::string FormatScalar(const std::string& value);
std::string FormatScalar(Duration value);
std::string FormatScalar(Bytes value);
template <typename M>
std::string ScalarName();
template <>
std::string ScalarName<bool>();
template <>
std::string ScalarName<int>();
template <>
std::string ScalarName<unsigned>();
template <>
std::string ScalarName<int64_t>();
template <>
std::string ScalarName<uint64_t>();
template <>
std::string ScalarName<double>();
template <>
std::string ScalarName<std::string>();
template <>
std::string ScalarName<Duration>();
template <>
std::string ScalarName<Bytes>();

// The shared part of scalars: shape, null and list where a scalar belongs, the message.
class ScalarTypeBase : public ValueType {
 public:
  Shape shape() const override { return kScalar; }
  void Read(const Node& node, const std::string& key, void* value, Reading& reading) const override;

 private:
  virtual bool ReadText(const std::string& text, void* value) const = 0;
};

template <typename M>
class ScalarType final : public ScalarTypeBase {
 public:
  std::string Name() const override { return ScalarName<M>(); }
  Node Write(const void* value) const override {
    Node node = Node::Scalar(FormatScalar(*static_cast<const M*>(value)));
    node.is_text = std::same_as<M, std::string>;
    return node;
  }
  void Assign(const void* from, void* to) const override {
    *static_cast<M*>(to) = *static_cast<const M*>(from);
  }
  bool Same(const void* a, const void* b) const override {
    return *static_cast<const M*>(a) == *static_cast<const M*>(b);
  }

 private:
  bool ReadText(const std::string& text, void* value) const override {
    return ParseScalar(text, *static_cast<M*>(value));
  }
};

// An enum, read and written by the names in its table.
template <typename E>
class EnumType final : public ScalarTypeBase {
 public:
  using Names = std::vector<std::pair<std::string, E>>;
  explicit EnumType(Names names) : names_(std::move(names)) {}
  std::string Name() const override {
    std::string name = "one of ";
    for (const auto& [text, value] : names_)
      name += (&text == &names_.front().first ? "" : ", ") + text;
    return name;
  }
  Node Write(const void* value) const override {
    for (const auto& [text, known] : names_) {
      if (known == *static_cast<const E*>(value)) return Node::Text(text);
    }
    return Node::Text("");
  }
  void Assign(const void* from, void* to) const override {
    *static_cast<E*>(to) = *static_cast<const E*>(from);
  }
  bool Same(const void* a, const void* b) const override {
    return *static_cast<const E*>(a) == *static_cast<const E*>(b);
  }

 private:
  bool ReadText(const std::string& text, void* value) const override {
    for (const auto& [name, known] : names_) {
      if (name == text) {
        *static_cast<E*>(value) = known;
        return true;
      }
    }
    return false;
  }
  const Names names_;
};

class SecretType final : public ValueType {
 public:
  Shape shape() const override { return kSecret; }
  std::string Name() const override { return "a secret"; }
  void Read(const Node& node, const std::string& key, void* value, Reading& reading) const override;
  // From the file that a `<key>_file` names: at most 64 KiB, without the line break at its end.
  void ReadFile(const Node& path, const std::string& key, void* value, Reading& reading) const;
  Node Write(const void* value) const override;
  void Assign(const void* from, void* to) const override;
  bool Same(const void* a, const void* b) const override;
};

// False, with a problem, where `node` is not of `kind`; `expected` is the type's name.
bool CheckKind(const Node& node, Node::Kind kind, const std::string& key,
               const std::string& expected, Reading& reading);

template <typename M>
class ListType final : public ValueType {
 public:
  explicit ListType(ValueTypePtr element) : element_(std::move(element)) {}
  Shape shape() const override { return kList; }
  std::string Name() const override { return "a list, each " + element_->Name(); }
  const ValueType* element() const override { return element_.get(); }
  void Read(const Node& node, const std::string& key, void* value,
            Reading& reading) const override {
    if (!CheckKind(node, Node::kList, key, Name(), reading)) return;
    std::vector<M> list(node.items.size());
    for (size_t i = 0; i < list.size(); ++i) {
      element_->Read(node.items[i], key + "[" + std::to_string(i) + "]", &list[i], reading);
    }
    *static_cast<std::vector<M>*>(value) = std::move(list);
  }
  Node Write(const void* value) const override {
    Node node = Node::Of(Node::kList);
    for (const M& item : *static_cast<const std::vector<M>*>(value))
      node.items.push_back(element_->Write(&item));
    return node;
  }
  void Assign(const void* from, void* to) const override {
    *static_cast<std::vector<M>*>(to) = *static_cast<const std::vector<M>*>(from);
  }
  bool Same(const void* a, const void* b) const override {
    const auto& left = *static_cast<const std::vector<M>*>(a);
    const auto& right = *static_cast<const std::vector<M>*>(b);
    return std::equal(left.begin(), left.end(), right.begin(), right.end(),
                      [this](const M& x, const M& y) { return element_->Same(&x, &y); });
  }

 private:
  const ValueTypePtr element_;
};

// What a source says replaces the defaults as a whole; the sources among themselves are merged key
// by key.
template <typename M>
class MapType final : public ValueType {
 public:
  using Map = std::map<std::string, M>;
  explicit MapType(ValueTypePtr element) : element_(std::move(element)) {}
  Shape shape() const override { return kMap; }
  std::string Name() const override { return "a map, each value " + element_->Name(); }
  const ValueType* element() const override { return element_.get(); }
  void Read(const Node& node, const std::string& key, void* value,
            Reading& reading) const override {
    if (!CheckKind(node, Node::kMap, key, Name(), reading)) return;
    Map map;
    for (const Member& member : node.members) {
      element_->Read(member.value, JoinKey(key, member.key), &map[member.key], reading);
    }
    *static_cast<Map*>(value) = std::move(map);
  }
  Node Write(const void* value) const override {
    Node node = Node::Of(Node::kMap);
    for (const auto& [name, element] : *static_cast<const Map*>(value)) {
      node.members.push_back({name, {}, element_->Write(&element)});
    }
    return node;
  }
  void Assign(const void* from, void* to) const override {
    *static_cast<Map*>(to) = *static_cast<const Map*>(from);
  }
  bool Same(const void* a, const void* b) const override {
    const Map& left = *static_cast<const Map*>(a);
    const Map& right = *static_cast<const Map*>(b);
    return std::equal(left.begin(), left.end(), right.begin(), right.end(),
                      [this](const auto& x, const auto& y) {
                        return x.first == y.first && element_->Same(&x.second, &y.second);
                      });
  }
  void* FindIn(void* value, std::string_view key) const override {
    Map& map = *static_cast<Map*>(value);
    const auto found = map.find(std::string(key));
    return found == map.end() ? nullptr : &found->second;
  }
  std::vector<std::string> KeysOf(const void* value) const override {
    std::vector<std::string> keys;
    for (const auto& [key, element] : *static_cast<const Map*>(value)) keys.push_back(key);
    return keys;
  }

 private:
  const ValueTypePtr element_;
};

}  // namespace starling::config
