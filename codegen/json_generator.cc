#include "codegen/json_generator.h"

#include <google/protobuf/descriptor.pb.h>
#include <google/protobuf/io/printer.h>
#include <google/protobuf/io/zero_copy_stream.h>

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "codegen/json_statements.h"
#include "codegen/names.h"

namespace starling::codegen {
namespace {

namespace pb = google::protobuf;
using pb::Descriptor;
using pb::EnumDescriptor;
using pb::FieldDescriptor;
using pb::FileDescriptor;
using pb::io::Printer;

void PrintWriteField(const FieldDescriptor& field, Printer& out) {
  const std::string value = "message." + Accessor(field) + "()";
  out.Print("if ($present$) {\n", "present", PresenceCondition(field));
  out.Indent();
  out.Print("writer.Name($name$);\n", "name", Quoted("\"" + field.name() + "\":"));
  if (field.is_map()) {
    out.Print("writer.Map($map$, [&](const auto& value) { $write$ });\n", "map", value, "write",
              WriteStatement(*field.message_type()->map_value(), "value"));
  } else if (field.is_repeated()) {
    out.Print(
        "writer.BeginArray();\nfor (const auto& value : $values$) $write$\nwriter.EndArray();\n",
        "values", value, "write", WriteStatement(field, "value"));
  } else {
    out.Print("$write$\n", "write", WriteStatement(field, value));
  }
  out.Outdent();
  out.Print("}\n");
}

void PrintReadCase(int index, const FieldDescriptor& field, Printer& out) {
  const std::string name = Accessor(field);
  out.Print("case $index$:  // $name$\n", "index", std::to_string(index), "name", field.name());
  out.Indent();
  if (const pb::OneofDescriptor* oneof = field.real_containing_oneof(); oneof != nullptr) {
    out.Print("if (message->$oneof$_case() != 0) return reader.OneofTaken($name$);\n", "oneof",
              oneof->name(), "name", Quoted(oneof->name()));
  }
  if (field.is_map()) {
    out.Print(
        "return ::starling::json::ReadMap(reader, message->mutable_$name$(),\n"
        "                                 [&](auto* value) { return $read$; });\n",
        "name", name, "read", ReadExpression(*field.message_type()->map_value(), "value"));
  } else if (field.is_repeated()) {
    if (IsMessage(field) || IsString(field)) {
      out.Print("return reader.Array([&] { return $read$; });\n", "read",
                ReadExpression(field, "message->add_" + name + "()"));
    } else {
      out.Print(
          "return reader.Array([&] {\n"
          "  $type$ value;\n"
          "  if (!$read$) return false;\n"
          "  message->add_$name$(value);\n"
          "  return true;\n"
          "});\n",
          "type", LocalType(field), "read", ReadExpression(field, "&value"), "name", name);
    }
  } else if (IsMessage(field) || IsString(field)) {
    out.Print("return $read$;\n", "read", ReadExpression(field, "message->mutable_" + name + "()"));
  } else {
    out.Print(
        "{\n"
        "  $type$ value;\n"
        "  if (!$read$) return false;\n"
        "  message->set_$name$(value);\n"
        "  return true;\n"
        "}\n",
        "type", LocalType(field), "read", ReadExpression(field, "&value"), "name", name);
  }
  out.Outdent();
}

// A function from a name to something: a switch over the length, then comparisons.
void PrintFind(const std::string& signature,
               const std::vector<std::pair<std::string, std::string>>& results,
               const std::string& otherwise, Printer& out) {
  std::map<size_t, std::vector<std::pair<std::string, std::string>>> by_length;
  std::set<std::string> seen;
  for (const auto& result : results) {
    if (seen.insert(result.first).second) by_length[result.first.size()].push_back(result);
  }
  out.Print("$signature$ {\n", "signature", signature);
  out.Indent();
  if (!by_length.empty()) {
    out.Print("switch (name.size()) {\n");
    for (const auto& [length, entries] : by_length) {
      out.Print("  case $length$:\n", "length", std::to_string(length));
      for (const auto& [name, result] : entries) {
        out.Print("    if (std::memcmp(name.data(), $name$, $length$) == 0) return $result$;\n",
                  "name", Quoted(name), "length", std::to_string(length), "result", result);
      }
      out.Print("    break;\n");
    }
    out.Print("}\n");
  }
  out.Print("return $otherwise$;\n", "otherwise", otherwise);
  out.Outdent();
  out.Print("}\n\n");
}

void PrintNames(const std::string& constant, const std::vector<std::string>& names, Printer& out) {
  if (names.empty()) return;
  out.Print("constexpr std::string_view $constant$[] = {\n", "constant", constant);
  for (const std::string& name : names) out.Print("    $name$,\n", "name", Quoted(name));
  out.Print("};\n\n");
}

void PrintMessage(const Descriptor& message, Printer& out) {
  const std::string name = ClassName(message);
  std::vector<std::string> names;
  std::vector<std::pair<std::string, std::string>> indices;
  for (int i = 0; i < message.field_count(); ++i) {
    names.push_back(message.field(i)->name());
    indices.emplace_back(message.field(i)->name(), std::to_string(i));
  }
  for (int i = 0; i < message.field_count(); ++i) {
    indices.emplace_back(message.field(i)->json_name(), std::to_string(i));
  }

  out.Print("namespace {\n\n");
  PrintNames("k" + name + "Names", names, out);
  PrintFind("int Find" + name + "([[maybe_unused]] std::string_view name)", indices, "-1", out);
  out.Print(
      "bool Read$name$Field([[maybe_unused]] ::starling::json::Reader& reader, int index,\n"
      "    [[maybe_unused]] $name$* message) {\n",
      "name", name);
  out.Indent();
  std::string not_null;
  for (int i = 0; i < message.field_count(); ++i) {
    if (MeansNull(*message.field(i))) not_null += "index != " + std::to_string(i) + " && ";
  }
  if (message.field_count() > 0) {
    out.Print("if ($condition$reader.SkipNull()) return true;\n", "condition", not_null);
  }
  out.Print("switch (index) {\n");
  out.Indent();
  for (int i = 0; i < message.field_count(); ++i) PrintReadCase(i, *message.field(i), out);
  out.Print("default:\n  return false;\n");
  out.Outdent();
  out.Print("}\n");
  out.Outdent();
  out.Print("}\n\n");
  out.Print(
      "constexpr ::starling::json::Fields<$name$> k$name$ = {\n    $full_name$, $names$, "
      "&Find$name$, "
      "&Read$name$Field};\n\n}  // namespace\n\n",
      "name", name, "full_name", Quoted(message.full_name()), "names",
      names.empty() ? "{}" : "k" + name + "Names");

  out.Print(
      "void WriteJson([[maybe_unused]] const $name$& message, ::starling::json::Writer& writer) "
      "{\n",
      "name", name);
  out.Indent();
  out.Print("writer.BeginObject();\n");
  for (int i = 0; i < message.field_count(); ++i) PrintWriteField(*message.field(i), out);
  out.Print("writer.EndObject();\n");
  out.Outdent();
  out.Print(
      "}\n\n"
      "bool ReadJson(::starling::json::Reader& reader, $name$* message) {\n"
      "  return ::starling::json::ReadObject(reader, k$name$, message);\n"
      "}\n\n"
      "const ::starling::json::Fields<$name$>& JsonFields(const $name$*) { return k$name$; }\n\n",
      "name", name);
}

void PrintEnum(const EnumDescriptor& type, Printer& out) {
  const std::string name = ClassName(type);
  std::vector<std::string> names;
  std::vector<std::pair<std::string, std::string>> numbers;
  for (int i = 0; i < type.value_count(); ++i) {
    names.push_back(type.value(i)->name());
    numbers.emplace_back(type.value(i)->name(), "&k" + name + "Numbers[" + std::to_string(i) + "]");
  }
  out.Print("namespace {\n\n");
  PrintNames("k" + name + "Names", names, out);
  out.Print("constexpr int32_t k$name$Numbers[] = {\n", "name", name);
  for (int i = 0; i < type.value_count(); ++i) {
    out.Print("    $number$,\n", "number", std::to_string(type.value(i)->number()));
  }
  out.Print("};\n\n");
  PrintFind("const int32_t* Find" + name + "(std::string_view name)", numbers, "nullptr", out);
  out.Print(
      "constexpr ::starling::json::EnumNames k$name$ = {$full_name$, k$name$Names, "
      "&Find$name$};\n\n"
      "}  // namespace\n\n",
      "name", name, "full_name", Quoted(type.full_name()));

  out.Print(
      "void WriteJson($name$ value, ::starling::json::Writer& writer) {\n"
      "  switch (static_cast<int>(value)) {\n",
      "name", name);
  std::set<int> seen;  // of aliases the first name is written
  for (int i = 0; i < type.value_count(); ++i) {
    if (!seen.insert(type.value(i)->number()).second) continue;
    out.Print("    case $number$: return writer.Plain($value$);\n", "number",
              std::to_string(type.value(i)->number()), "value", Quoted(type.value(i)->name()));
  }
  out.Print(
      "    default: return writer.Int32(static_cast<int>(value));\n"
      "  }\n"
      "}\n\n"
      "bool ReadJson(::starling::json::Reader& reader, $name$* value) {\n"
      "  int32_t number;\n"
      "  if (!reader.Enum(k$name$, &number)) return false;\n"
      "  *value = static_cast<$name$>(number);\n"
      "  return true;\n"
      "}\n\n",
      "name", name);
}

// All messages and enums of a file, nested ones too, without the entries of maps.
struct Types {
  std::vector<const Descriptor*> messages;
  std::vector<const EnumDescriptor*> enums;
};

void Collect(const Descriptor& message, Types& types) {
  if (message.options().map_entry()) return;
  types.messages.push_back(&message);
  for (int i = 0; i < message.enum_type_count(); ++i) types.enums.push_back(message.enum_type(i));
  for (int i = 0; i < message.nested_type_count(); ++i) Collect(*message.nested_type(i), types);
}

Types TypesOf(const FileDescriptor& file) {
  Types types;
  for (int i = 0; i < file.enum_type_count(); ++i) types.enums.push_back(file.enum_type(i));
  for (int i = 0; i < file.message_type_count(); ++i) Collect(*file.message_type(i), types);
  return types;
}

// The other files whose codecs the fields of this one call.
std::set<std::string> UsedCodecs(const FileDescriptor& file, const Types& types) {
  std::set<std::string> headers;
  const auto use = [&](const FileDescriptor& other) {
    if (&other != &file && !IsProtobufsOwn(other)) headers.insert(BaseName(other) + ".json.h");
  };
  for (const Descriptor* message : types.messages) {
    for (int i = 0; i < message->field_count(); ++i) {
      const FieldDescriptor* const field = message->field(i)->is_map()
                                               ? message->field(i)->message_type()->map_value()
                                               : message->field(i);
      if (field->message_type() != nullptr) use(*field->message_type()->file());
      if (field->enum_type() != nullptr) use(*field->enum_type()->file());
    }
  }
  return headers;
}

void WithPrinter(pb::compiler::GeneratorContext* context, const std::string& name,
                 const std::function<void(Printer&)>& print) {
  const std::unique_ptr<pb::io::ZeroCopyOutputStream> stream(context->Open(name));
  Printer out(stream.get(), '$');
  print(out);
}

void PrintHeader(const FileDescriptor& file, const Types& types, Printer& out) {
  out.Print(
      "// The JSON codec of $file$, written by protoc-gen-starling. Use it by "
      "platform/json/codec.h.\n"
      "#pragma once\n\n"
      "#include \"$base$.pb.h\"\n"
      "#include \"platform/json/codec.h\"\n\n",
      "file", file.name(), "base", BaseName(file));
  const std::string space = Namespace(file);
  if (!space.empty()) out.Print("namespace $space$ {\n\n", "space", space);
  for (const EnumDescriptor* type : types.enums) {
    out.Print(
        "void WriteJson($name$ value, ::starling::json::Writer& writer);\n"
        "[[nodiscard]] bool ReadJson(::starling::json::Reader& reader, $name$* value);\n\n",
        "name", ClassName(*type));
  }
  for (const Descriptor* message : types.messages) {
    out.Print(
        "void WriteJson(const $name$& message, ::starling::json::Writer& writer);\n"
        "[[nodiscard]] bool ReadJson(::starling::json::Reader& reader, $name$* message);\n"
        "const ::starling::json::Fields<$name$>& JsonFields(const $name$*);\n\n",
        "name", ClassName(*message));
  }
  if (!space.empty()) out.Print("}  // namespace $space$\n", "space", space);
}

void PrintSource(const FileDescriptor& file, const Types& types, Printer& out) {
  out.Print(
      "// Written by protoc-gen-starling from $file$.\n"
      "#include \"$base$.json.h\"\n\n"
      "#include <bit>\n#include <cstdint>\n#include <cstring>\n#include <string>\n#include "
      "<string_view>\n\n"
      "#include \"platform/json/reflection.h\"\n",
      "file", file.name(), "base", BaseName(file));
  for (const std::string& header : UsedCodecs(file, types)) {
    out.Print("#include \"$header$\"\n", "header", header);
  }
  out.Print("\n");
  const std::string space = Namespace(file);
  if (!space.empty()) out.Print("namespace $space$ {\n\n", "space", space);
  for (const EnumDescriptor* type : types.enums) PrintEnum(*type, out);
  for (const Descriptor* message : types.messages) PrintMessage(*message, out);
  if (!space.empty()) out.Print("}  // namespace $space$\n", "space", space);
}

}  // namespace

bool GenerateJson(const FileDescriptor& file, pb::compiler::GeneratorContext* context,
                  std::string* error) {
  const Types types = TypesOf(file);
  if (file.syntax() != FileDescriptor::SYNTAX_PROTO3 && !types.messages.empty()) {
    *error =
        file.name() + ": messages must be proto3 to have a JSON codec; write syntax = \"proto3\"";
    return false;
  }
  WithPrinter(context, BaseName(file) + ".json.h",
              [&](Printer& out) { PrintHeader(file, types, out); });
  WithPrinter(context, BaseName(file) + ".json.cc",
              [&](Printer& out) { PrintSource(file, types, out); });
  return true;
}

}  // namespace starling::codegen
