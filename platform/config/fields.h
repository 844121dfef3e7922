// Fields<T>: what a section's struct says about itself, once: names, documentation, bounds.
//
//   struct HttpOptions {
//     int port = 8080;
//     Duration idle_timeout = std::chrono::seconds(75);
//     Log log = Log::kErrors;
//     static void Describe(config::Fields<HttpOptions>& fields) {
//       fields.Add("port", &HttpOptions::port, "TCP port").Range(0, 65535).NeedsRestart();
//       fields.Add("idle_timeout", &HttpOptions::idle_timeout, "a quiet connection lives")
//           .AtLeast(std::chrono::seconds(1));
//       fields.AddEnum("log", &HttpOptions::log, {{"all", Log::kAll}, {"errors", Log::kErrors}},
//                      "which requests are logged");
//       fields.Check([](const HttpOptions& o) { return o.low < o.high ? "" : "low >= high"; });
//     }
//   };
//
// A member may be of any type that value_type.h lists: nested structs that have Describe, lists and
// maps of them too. A type must not contain itself. Defaults are the member initialisers, and keep
// the same rules as what a source says.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "platform/config/value_type.h"

namespace starling::config {

template <typename T>
class Fields;

template <typename T>
concept Described = requires(Fields<T>& fields) { T::Describe(fields); };

// A field of some struct.
class FieldBase {
 public:
  FieldBase(std::string name, std::string doc, ValueTypePtr type)
      : name(std::move(name)), doc(std::move(doc)), type(std::move(type)) {}
  virtual ~FieldBase() = default;
  virtual void* In(void* object) const = 0;
  const void* In(const void* object) const { return In(const_cast<void*>(object)); }
  // What is expected instead of the value that `object` has; "" when it keeps the rules.
  virtual std::string Broken(const void* object) const = 0;

  const std::string name;
  const std::string doc;
  const ValueTypePtr type;
  bool needs_restart = false;
  bool required = false;
  std::string rule;  // "0 to 65535", for the table of keys
};

// A struct that has Describe.
class StructType : public ValueType {
 public:
  Shape shape() const final { return kStruct; }
  std::string Name() const final { return "a section (keys with values)"; }
  void Read(const Node& node, const std::string& key, void* value, Reading& reading) const final;
  Node Write(const void* value) const final;
  bool Same(const void* a, const void* b) const final;
  const StructType* AsStruct() const final { return this; }

  virtual std::shared_ptr<void> New() const = 0;
  const FieldBase* Find(std::string_view name) const;
  const std::vector<std::unique_ptr<FieldBase>>& fields() const { return fields_; }

 protected:
  // Ends the process on a name that is not [a-z][a-z0-9_]* or is used twice: it is our bug.
  void Put(std::unique_ptr<FieldBase> field);
  std::vector<std::function<std::string(const void*)>> checks_;

 private:
  void ReadMembers(const Node& node, const std::string& key, void* value, Reading& reading) const;
  std::vector<std::unique_ptr<FieldBase>> fields_;
};

template <typename M>
ValueTypePtr TypeOf();

template <typename T, typename M>
class Field final : public FieldBase {
 public:
  Field(std::string name, M T::*member, std::string doc, ValueTypePtr type)
      : FieldBase(std::move(name), std::move(doc), std::move(type)), member_(member) {}

  // A change of it is not taken live: Reload keeps the running value and says so.
  Field& NeedsRestart() {
    needs_restart = true;
    return *this;
  }
  // Some source must say it.
  Field& Required() {
    required = true;
    return *this;
  }
  Field& Range(M lowest, M highest) {
    rule = FormatScalar(lowest) + " to " + FormatScalar(highest);
    return Check([lowest, highest, text = rule](const M& v) {
      return v < lowest || highest < v ? text : "";
    });
  }
  Field& AtLeast(M lowest) {
    rule = "at least " + FormatScalar(lowest);
    return Check([lowest, text = rule](const M& v) { return v < lowest ? text : ""; });
  }
  Field& NotEmpty() {
    rule = "not empty";
    return Check(
        [](const M& v) -> std::string { return v.empty() ? "a value that is not empty" : ""; });
  }
  // `broken` gives what is expected instead ("a power of two"), or "" for a good value.
  Field& Check(std::function<std::string(const M&)> broken) {
    checks_.push_back(std::move(broken));
    return *this;
  }

  void* In(void* object) const override { return &(static_cast<T*>(object)->*member_); }
  std::string Broken(const void* object) const override {
    for (const auto& check : checks_) {
      if (std::string expected = check(static_cast<const T*>(object)->*member_); !expected.empty())
        return expected;
    }
    return "";
  }

 private:
  M T::*const member_;
  std::vector<std::function<std::string(const M&)>> checks_;
};

template <typename T>
class Fields final : public StructType {
 public:
  Fields() { T::Describe(*this); }

  template <typename M>
  Field<T, M>& Add(std::string name, M T::*member, std::string doc) {
    return PutTyped(
        std::make_unique<Field<T, M>>(std::move(name), member, std::move(doc), TypeOf<M>()));
  }
  template <typename E>
  Field<T, E>& AddEnum(std::string name, E T::*member, std::vector<std::pair<std::string, E>> names,
                       std::string doc) {
    return PutTyped(std::make_unique<Field<T, E>>(std::move(name), member, std::move(doc),
                                                  std::make_shared<EnumType<E>>(std::move(names))));
  }
  // A rule over several fields: gives what is wrong with the whole, or "".
  void Check(std::function<std::string(const T&)> broken) {
    checks_.push_back([broken = std::move(broken)](const void* object) {
      return broken(*static_cast<const T*>(object));
    });
  }

  std::shared_ptr<void> New() const override { return std::make_shared<T>(); }
  void Assign(const void* from, void* to) const override {
    *static_cast<T*>(to) = *static_cast<const T*>(from);
  }

 private:
  template <typename F>
  F& PutTyped(std::unique_ptr<F> field) {
    F& result = *field;
    Put(std::move(field));
    return result;
  }
};

namespace type_of_internal {
template <typename M>
struct Maker {
  static ValueTypePtr Make() {
    if constexpr (Described<M>) {
      return std::make_shared<Fields<M>>();
    } else {
      return std::make_shared<ScalarType<M>>();
    }
  }
};
template <>
struct Maker<Secret> {
  static ValueTypePtr Make() { return std::make_shared<SecretType>(); }
};
template <typename M>
struct Maker<std::vector<M>> {
  static ValueTypePtr Make() { return std::make_shared<ListType<M>>(TypeOf<M>()); }
};
template <typename M>
struct Maker<std::map<std::string, M>> {
  static ValueTypePtr Make() { return std::make_shared<MapType<M>>(TypeOf<M>()); }
};
}  // namespace type_of_internal

template <typename M>
ValueTypePtr TypeOf() {
  static const ValueTypePtr type = type_of_internal::Maker<M>::Make();
  return type;
}

}  // namespace starling::config
