// What the JSON codec writes, takes and refuses, case by case.
#include <gmock/gmock.h>
#include <google/protobuf/util/json_util.h>
#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

#include "codegen/json_test.json.h"
#include "platform/json/reflection.h"

namespace starling::json::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

Everything Read(std::string_view text) {
  Everything message;
  const Status status = FromJson(text, &message);
  EXPECT_TRUE(status.ok()) << text << "\n" << status;
  return message;
}

Status ReadingByReflection(std::string_view text) {
  Everything message;
  Reader reader(text);
  return reader.Finish(ReadByReflection(reader, &message));
}

bool ProtobufReads(std::string_view text) {
  Everything message;
  return google::protobuf::util::JsonStringToMessage(std::string(text), &message).ok();
}

struct Forms {
  std::string_view given;    // what a client may send
  std::string_view written;  // what we make of it
};

TEST(JsonCodec, WritesTheCanonicalFormOfWhatItReads) {
  const Forms kForms[] = {
      {R"({})", R"({})"},
      {" \n\t{ } \r", R"({})"},
      {R"({"int32_value": 7, "int64_value": 8})", R"({"int32_value":7,"int64_value":"8"})"},
      {R"({"int32_value": "7", "int64_value": "8"})", R"({"int32_value":7,"int64_value":"8"})"},
      {R"({"int32_value": 7.0, "int64_value": 1e3, "uint32_value": 12.50e1})",
       R"({"int32_value":7,"int64_value":"1000","uint32_value":125})"},
      {R"({"int64_value": 9007199254740993.0})", R"({"int64_value":"9007199254740993"})"},
      {R"({"int32_value": "\u0031\u0032"})", R"({"int32_value":12})"},
      {R"({"uint64_value": 18446744073709551615, "int64_value": -9223372036854775808})",
       R"({"int64_value":"-9223372036854775808","uint64_value":"18446744073709551615"})"},
      {R"({"uint64_value": -0, "int32_value": 0})", R"({})"},
      {R"({"int32Value": 1, "stringValue": "x"})", R"({"int32_value":1,"string_value":"x"})"},
      {R"({"otherName": 1})", R"({"renamed":1})"},
      {R"({"renamed": 1})", R"({"renamed":1})"},
      {R"({"class": "a", "CamelName": "b", "field12": 3, "switch": [4], "_leading": "c"})",
       R"({"class":"a","CamelName":"b","field_1_2":3,"switch":[4],"_leading":"c"})"},
      {R"({"\u0063lass": "a"})", R"({"class":"a"})"},
      {R"({"double_value": 1e5, "doubles": [1e-7, 0.1, 1e22, -0, 123456789012, 100000]})",
       R"({"double_value":100000,"doubles":[1e-07,0.1,1e+22,-0.0,123456789012,100000]})"},
      {R"({"doubles": ["NaN", "Infinity", "-Infinity", "1.5", 1e-400]})",
       R"({"doubles":["NaN","Infinity","-Infinity",1.5,0]})"},
      {R"({"float_value": 3.4028235e38, "floats": [0.1, "3.4028235e38", 16777216]})",
       R"({"float_value":3.4028235e+38,"floats":[0.1,3.4028235e+38,16777216]})"},
      {R"({"double_value": 100000000000000000000000})", R"({"double_value":1e+23})"},
      {R"({"bytes_value": "_-8", "byteses": ["YQ", "YQ==", "\/+8="]})",
       R"({"bytes_value":"/+8=","byteses":["YQ==","YQ==","/+8="]})"},
      {R"({"color": "COLOR_CRIMSON", "colors": [1, "COLOR_NEGATIVE", -7, 77, 1.0]})",
       R"({"color":"COLOR_RED","colors":["COLOR_RED","COLOR_NEGATIVE","COLOR_NEGATIVE",77,"COLOR_RED"]})"},
      {R"({"string_value": "\"\\\/\b\f\n\r\t\u0000\u001f\u00e4\u20ac\ud83d\ude00 <&>"})",
       "{\"string_value\":\"\\\"\\\\/"
       "\\b\\f\\n\\r\\t\\u0000\\u001f\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80 <&>\"}"},
      {R"({"optional_bool": false, "optional_string": "", "optional_int64": 0, "optional_double": -0})",
       R"({"optional_bool":false,"optional_int64":"0","optional_double":-0.0,"optional_string":""})"},
      {R"({"optional_bool": null, "nested": null, "strings": null, "string_map": null, "any": null})",
       R"({})"},
      {R"({"value": null, "values": [null, 1, "x", true, {}, []], "null_value": null, "null_values": [null]})",
       R"({"value":null,"values":[null,1,"x",true,{},[]],"null_values":[null]})"},
      {R"({"chosen_null": null})", R"({"chosen_null":null})"},
      {R"({"chosen_value": null})", R"({"chosen_value":null})"},
      {R"({"chosen_wrapper": null, "chosen_string": ""})", R"({"chosen_string":""})"},
      {R"({"string_map": {"b": "2", "": "0", "a": "1"}})",
       R"({"string_map":{"":"0","a":"1","b":"2"}})"},
      {R"({"int32_map": {"10": 1, "-2": 2, "3": 3}})", R"({"int32_map":{"-2":2,"3":3,"10":1}})"},
      {R"({"bool_map": {"true": 1, "false": 0}})",
       R"({"bool_map":{"false":"COLOR_UNSPECIFIED","true":"COLOR_RED"}})"},
      {R"({"struct": {"a": null, "b": [1, "x", {"c": true}]}})",
       R"({"struct":{"a":null,"b":[1,"x",{"c":true}]}})"},
      {R"({"int64_wrapper": 0, "string_wrapper": "", "bool_wrapper": false})",
       R"({"bool_wrapper":false,"int64_wrapper":"0","string_wrapper":""})"},
      {R"({"timestamp": "1970-01-01T00:00:00+01:30"})", R"({"timestamp":"1969-12-31T22:30:00Z"})"},
      {R"({"timestamp": "2024-02-29T12:00:00.5Z"})", R"({"timestamp":"2024-02-29T12:00:00.500Z"})"},
      {R"({"duration": "-0.0000005s"})", R"({"duration":"-0.000000500s"})"},
      {R"({"field_mask": "title,price.currencyCode"})",
       R"({"field_mask":"title,price.currencyCode"})"},
      {R"({"field_mask": "currency_code"})", R"({"field_mask":"currencyCode"})"},
      {R"({"any": {}})", R"({"any":{}})"},
      {R"({"any": {"@type": "type.googleapis.com/google.protobuf.Empty"}})",
       R"({"any":{"@type":"type.googleapis.com/google.protobuf.Empty"}})"},
      {R"({"any": {"title": "x", "price": {"units": 1}, "@type": "type.googleapis.com/starling.json.test.Product"}})",
       R"({"any":{"@type":"type.googleapis.com/starling.json.test.Product","title":"x","price":{"units":"1"}}})"},
      {R"({"any": {"value": "1.5s", "@type": "type.googleapis.com/google.protobuf.Duration"}})",
       R"({"any":{"@type":"type.googleapis.com/google.protobuf.Duration","value":"1.500s"}})"},
      // What comes twice, as protobuf has it.
      {R"({"int32_value": 1, "int32_value": 2})", R"({"int32_value":2})"},
      {R"({"nested": {"name": "a"}, "nested": {"size": "LARGE"}})",
       R"({"nested":{"name":"a","size":"LARGE"}})"},
      {R"({"strings": ["a"], "strings": ["b"]})", R"({"strings":["a","b"]})"},
      {R"({"string_map": {"a": "1"}, "string_map": {"b": "2"}})",
       R"({"string_map":{"a":"1","b":"2"}})"},
  };
  for (const auto& [given, written] : kForms) {
    SCOPED_TRACE(given);
    EXPECT_EQ(ToJson(Read(given)), written);
    EXPECT_EQ(ToJson(Read(written)), written);
    EXPECT_EQ(ReadingByReflection(given), OkStatus());
    EXPECT_TRUE(ProtobufReads(written));
  }
}

enum class Protobuf { kRefusesToo, kTakesIt };

struct BadInput {
  std::string_view text;
  std::string_view error;
  Protobuf protobuf = Protobuf::kRefusesToo;
};

TEST(JsonCodec, RefusesBadInputAndSaysWhereAndWhy) {
  const BadInput kBad[] = {
      // Not JSON.
      {"", "malformed JSON at byte 0: the document is empty"},
      {" \n ", "malformed JSON at byte 3: the document is empty"},
      {"{",
       "malformed JSON at byte 1: expected a field's name in double quotes, found the end of the "
       "document"},
      {"{\"int32_value\"",
       "malformed JSON at byte 14: expected ':' after a field's name, found the end of the "
       "document"},
      {"{\"int32_value\":",
       "malformed JSON at byte 15: expected a value, found the end of the document"},
      {"{\"int32_value\":1",
       "malformed JSON at byte 16: expected ',' or '}' after a value, found the end of the "
       "document"},
      {R"({"int32_value":1]})",
       "malformed JSON at byte 16: expected ',' or '}' after a value, found ']'"},
      {R"({"int32_value":1,})",
       "malformed JSON at byte 17: expected a field's name in double quotes, found '}'",
       Protobuf::kTakesIt},
      {R"({'int32_value':1})",
       "malformed JSON at byte 1: expected a field's name in double quotes, found '''",
       Protobuf::kTakesIt},
      {R"({int32_value:1})",
       "malformed JSON at byte 1: expected a field's name in double quotes, found 'i'",
       Protobuf::kTakesIt},
      {R"({"int32_value":01})", "malformed JSON at byte 15: '01' is not a number"},
      {R"({"int32_value":-})", "malformed JSON at byte 15: '-' is not a number"},
      {R"({"int32_value":1x})", "malformed JSON at byte 15: '1x' is not a number"},
      {R"({"double_value":1.})", "malformed JSON at byte 16: '1.' is not a number",
       Protobuf::kTakesIt},
      {R"({"double_value":.5})", "malformed JSON at byte 16: expected a value, found '.'"},
      {R"({"double_value":+1})", "malformed JSON at byte 16: expected a value, found '+'"},
      {R"({"double_value":NaN})", "malformed JSON at byte 16: expected a value, found 'N'"},
      {R"({"bool_value":tru})", "malformed JSON at byte 14: expected a value, found 't'"},
      {R"({"bool_value":truex})", "malformed JSON at byte 14: expected a value, found 't'"},
      {R"({"nested":nul})", "malformed JSON at byte 10: expected a value, found 'n'"},
      {R"({"int32_value":1} x)",
       "malformed JSON at byte 18: expected the end of the document, found 'x'"},
      {R"({"int32_value":1}{})",
       "malformed JSON at byte 17: expected the end of the document, found '{'"},
      {R"({"int32s":[1,]})", "malformed JSON at byte 13: expected a value, found ']'",
       Protobuf::kTakesIt},
      {R"({"int32s":[,1]})", "malformed JSON at byte 11: expected a value, found ','"},
      {R"({"int32s":[1 2]})",
       "malformed JSON at byte 13: expected ',' or ']' after an element, found '2'"},
      {R"({"int32s":[1}})",
       "malformed JSON at byte 12: expected ',' or ']' after an element, found '}'"},
      {R"({"int32s":[1)",
       "malformed JSON at byte 12: expected ',' or ']' after an element, found the end of the "
       "document"},
      {R"({"string_value":"a"b"})", "malformed JSON at byte 20: the string has no closing quote"},
      {R"({"string_value":"a" "b"})",
       "malformed JSON at byte 20: expected ',' or '}' after a value, found '\"'"},
      {R"({"string_value":"a)", "malformed JSON at byte 16: the string has no closing quote"},
      {"{\"string_value\":\"a\tb\"}",
       "malformed JSON at byte 18: a string holds the control character 0x09; write \\u0009",
       Protobuf::kTakesIt},
      {"{\"string_value\":\"\\q\"}", "malformed JSON at byte 17: unknown escape in a string",
       Protobuf::kTakesIt},
      {R"({"string_value":"\u12g4"})",
       "malformed JSON at byte 17: \\u needs four hexadecimal digits"},
      {R"({"string_value":"\u12"})",
       "malformed JSON at byte 17: \\u needs four hexadecimal digits"},
      {R"({"string_value":"\u+123"})",
       "malformed JSON at byte 17: \\u needs four hexadecimal digits"},
      {R"({"string_value":"x\ud800"})",
       "malformed JSON at byte 18: a high surrogate without the low one after it"},
      {R"({"string_value":"\ud800\u0041"})",
       "malformed JSON at byte 17: a high surrogate without the low one after it"},
      {R"({"string_value":"\udc00"})",
       "malformed JSON at byte 17: a low surrogate without the high one before it"},
      {"{\"string_value\":\"\xff\"}", "malformed JSON at byte 17: the byte 0xff is not UTF-8 here"},
      {"{\"string_value\":\"\xc0\xaf\"}",
       "malformed JSON at byte 17: the byte 0xc0 is not UTF-8 here"},
      {"{\"string_value\":\"\xed\xa0\x80\"}",
       "malformed JSON at byte 17: the byte 0xed is not UTF-8 here"},
      {"\xef\xbb\xbf{}", "malformed JSON at byte 0: expected a value, found '\xef\xbb\xbf'"},
      {std::string_view("{}\0", 3),
       "malformed JSON at byte 2: expected the end of the document, found the byte 0x00"},
      {"{\"int32_value\":1\f}",
       "malformed JSON at byte 16: expected ',' or '}' after a value, found the byte 0x0c",
       Protobuf::kTakesIt},
      // Not the message.
      {"[]", "expected starling.json.test.Everything, found an array"},
      {"null", "expected starling.json.test.Everything, found null"},
      {"\"x\"", "expected starling.json.test.Everything, found string \"x\""},
      {"1", "expected starling.json.test.Everything, found number 1"},
      {R"({"nope":1})", "nope: unknown field"},
      {R"({"":1})", "a field's name may not be empty"},
      {R"({"strin_value":1})", "strin_value: unknown field (did you mean 'string_value'?)"},
      {R"({"nested":{"nme":"x"}})", "nested.nme: unknown field (did you mean 'name'?)"},
      {R"({"nesteds":[{},{"children":[{"nme":1}]}]})",
       "nesteds[1].children[0].nme: unknown field (did you mean 'name'?)"},
      {R"({"nested_map":{"k\n":{"nme":1}}})", "nested_map[\"k\n\"].nme: unknown field"},
      {R"({"int32_value":"many"})", "int32_value: expected int32, found string \"many\""},
      {R"({"int32_value":""})", "int32_value: expected int32, found string \"\""},
      {R"({"int32_value":" 1"})", "int32_value: expected int32, found string \" 1\""},
      {R"({"int32_value":true})", "int32_value: expected int32, found true"},
      {R"({"int32_value":{}})", "int32_value: expected int32, found an object"},
      {R"({"int32_value":[]})", "int32_value: expected int32, found an array"},
      {R"({"int32_value":1.5})",
       "int32_value: expected int32, found 1.5, which is not a whole number"},
      {R"({"int32_value":2147483648})",
       "int32_value: expected int32, found 2147483648, which is out of range"},
      {R"({"uint32_value":-1})", "uint32_value: expected uint32, found -1, which is out of range"},
      {R"({"int64_value":9223372036854775808})",
       "expected int64, found 9223372036854775808, which is out of range"},
      {R"({"uint64_value":1e20})",
       "uint64_value: expected uint64, found 1e20, which is out of range"},
      {R"({"uint64_value":1e999999999999})",
       "uint64_value: expected uint64, found 1e999999999999, which is out of range"},
      {R"({"float_value":3.5e38})",
       "float_value: expected float, found 3.5e38, which is out of range"},
      {R"({"double_value":1e400})",
       "double_value: expected double, found 1e400, which is out of range"},
      {R"({"double_value":"inf"})", "double_value: expected double, found string \"inf\""},
      {R"({"bool_value":1})", "bool_value: expected bool, found number 1"},
      {R"({"bool_value":"true"})", "bool_value: expected bool, found string \"true\"",
       Protobuf::kTakesIt},
      {R"({"string_value":1})", "string_value: expected string, found number 1"},
      {R"({"string_value":"a","strings":"b"})", "strings: expected array, found string \"b\"",
       Protobuf::kTakesIt},
      {R"({"strings":["a",null]})", "strings[1]: expected string, found null", Protobuf::kTakesIt},
      {R"({"nesteds":[null]})",
       "nesteds[0]: expected starling.json.test.Everything.Nested, found null", Protobuf::kTakesIt},
      {R"({"string_map":{"a":null}})", "string_map[\"a\"]: expected string, found null",
       Protobuf::kTakesIt},
      {R"({"string_map":{"a":"1","a":"2"}})", "the map has this key twice"},
      {R"({"string_map":{"a":"1"},"string_map":{"a":"2"}})", "the map has this key twice",
       Protobuf::kTakesIt},
      {R"({"int32_map":{"1":1},"int32_map":{"1.0":2}})", "the map has this key twice"},
      {R"({"struct":{"a":1,"a":1}})", "the map has this key twice"},
      {R"({"int32_map":{"1.5":1}})", "expected int32 as a key of the map, found \"1.5\""},
      {R"({"int32_map":{"x":1}})", "expected int32 as a key of the map, found \"x\""},
      {R"({"bool_map":{"yes":1}})",
       "expected \"true\" or \"false\" as a key of the map, found \"yes\"", Protobuf::kTakesIt},
      {R"({"int32_map":[]})", "int32_map: expected object, found an array"},
      {R"({"bytes_value":"Y"})", "bytes_value: expected base64, found \"Y\""},
      {R"({"bytes_value":"Y Q="})", "bytes_value: expected base64, found \"Y Q=\""},
      {R"({"bytes_value":"YR=="})", "bytes_value: expected base64, found \"YR==\""},
      {R"({"bytes_value":"_/8"})", "bytes_value: expected base64, found \"_/8\""},
      {R"({"color":"COLOR_REDD"})",
       "color: 'COLOR_REDD' is no value of starling.json.test.Color (did you mean 'COLOR_RED'?)"},
      {R"({"color":true})", "color: expected starling.json.test.Color, found true"},
      {R"({"color":2147483648})", "color: expected int32, found 2147483648, which is out of range"},
      {R"({"chosen_string":"a","chosen_int64":"1"})",
       "chosen_int64: another member of the oneof 'choice' is set already"},
      {R"({"chosen_string":"a","chosen_string":"b"})",
       "chosen_string: another member of the oneof 'choice'"},
      {R"({"int64_wrapper":{"value":1}})", "int64_wrapper: expected int64, found an object",
       Protobuf::kTakesIt},
      {R"({"timestamp":"yesterday"})",
       "timestamp: expected a time as \"2024-02-29T12:00:00Z\", found \"yesterday\""},
      {R"({"timestamp":"1970-02-29T00:00:00Z"})", "timestamp: expected a time"},
      {R"({"timestamp":5})",
       "timestamp: expected a time as \"2024-02-29T12:00:00Z\", found number 5"},
      {R"({"duration":"1"})", "duration: expected a duration as \"1.5s\", found \"1\""},
      {R"({"field_mask":"a b"})", "field_mask: expected field paths", Protobuf::kTakesIt},
      {R"({"empty":{"a":1}})", "empty.a: unknown field"},
      {R"({"struct":[]})", "struct: expected object, found an array"},
      {R"({"list_value":{}})", "list_value: expected array, found an object", Protobuf::kTakesIt},
      {R"({"value":1e400})", "value: expected double, found 1e400, which is out of range"},
      {R"({"any":{"title":"x"}})", "any: an Any needs the type of what it holds"},
      {R"({"any":{"@type":1}})", "any.@type: expected string, found number 1"},
      {R"({"any":{"@type":"x/no.such.Type"}})",
       "any.@type: 'x/no.such.Type' names no type that is known here"},
      {R"({"any":{"@type":"type.googleapis.com/starling.json.test.Product","titel":"x"}})",
       "any.titel: unknown field (did you mean 'title'?)"},
      {R"({"any":{"@type":"type.googleapis.com/google.protobuf.Duration","value":1}})",
       "any.value: expected a duration"},
      {R"({"any":{"category_path":["a" "b"],"@type":"type.googleapis.com/starling.json.test.Product"}})",
       "malformed JSON at byte 29: expected ',' or ']' after an element"},
  };
  for (const auto& [text, error, protobuf] : kBad) {
    SCOPED_TRACE(text);
    Everything message;
    const Status status = FromJson(text, &message);
    EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(status.message()), HasSubstr(error));
    EXPECT_EQ(ReadingByReflection(text), status);
    EXPECT_EQ(ProtobufReads(text), protobuf == Protobuf::kTakesIt);
  }
}

TEST(JsonCodec, NamesTheFieldInTheStatus) {
  Everything message;
  const Status status = FromJson(R"({"nesteds":[{"size":"HUGE"}]})", &message);
  EXPECT_THAT(
      FieldViolations(status),
      ElementsAre(FieldViolation{
          "nesteds[0].size", "'HUGE' is no value of starling.json.test.Everything.Nested.Size"}));
}

std::string Nested(int levels, std::string_view open, std::string_view innermost,
                   std::string_view close) {
  std::string text;
  for (int i = 0; i < levels; ++i) text += open;
  text += innermost;
  for (int i = 0; i < levels; ++i) text += close;
  return text;
}

TEST(JsonCodec, Takes64LevelsAndRefusesTheNext) {
  const auto lists = [](int levels) {
    return R"({"value":)" + Nested(levels - 1, "[", "", "]") + "}";
  };
  Everything message;
  EXPECT_TRUE(FromJson(lists(64), &message).ok());
  EXPECT_THAT(std::string(FromJson(lists(65), &message).message()),
              HasSubstr("objects and arrays are nested deeper than 64 levels"));
  const auto objects = [](int levels) {
    return R"({"nested":)" + Nested(levels - 2, R"({"again":{"nested":)", "{}", "}}") + "}";
  };
  EXPECT_TRUE(FromJson(objects(32), &message).ok());
  EXPECT_FALSE(FromJson(objects(40), &message).ok());
  // Far beyond: no stack overflow, in an Any neither.
  EXPECT_FALSE(FromJson(lists(1'000'000), &message).ok());
  EXPECT_FALSE(FromJson(R"({"any":{"x":)" + Nested(1'000'000, "[", "", "]") + "}}", &message).ok());
}

TEST(JsonCodec, ReplacesTheMessageOfFromJson) {
  Everything message;
  message.set_string_value("old");
  ASSERT_TRUE(FromJson(R"({"int32_value":1})", &message).ok());
  EXPECT_EQ(ToJson(message), R"({"int32_value":1})");
}

TEST(JsonCodec, ReadsTheBodyIntoOneField) {
  CreateProductRequest request;
  request.set_validate_only(true);
  ASSERT_TRUE(FieldFromJson(R"({"title":"x"})", "product", &request).ok());
  ASSERT_TRUE(FieldFromJson(R"(["a","b"])", "tags", &request).ok());
  EXPECT_EQ(ToJson(request), R"({"product":{"title":"x"},"validate_only":true,"tags":["a","b"]})");

  EXPECT_EQ(FieldFromJson(R"({"prcie":{}})", "product", &request).message(),
            "product.prcie: unknown field (did you mean 'price'?)");
  EXPECT_EQ(FieldFromJson(R"({"price":{"units":"x"}})", "product", &request).message(),
            "product.price.units: expected int64, found string \"x\"");
  EXPECT_FALSE(FieldFromJson("{} {}", "product", &request).ok());
}

TEST(JsonCodec, NamesTheFieldsThatTheObjectHad) {
  Product product;
  const auto fields = FromJsonNamingFields(
      R"({"imageUrl":"/x","title":null,"price":{"units":1},"attributes":{"a":"b"}})", &product);
  ASSERT_TRUE(fields.ok()) << fields.status();
  EXPECT_THAT(*fields, ElementsAre("image_url", "title", "price", "attributes"));

  CreateProductRequest request;
  const auto of_body =
      FieldFromJsonNamingFields(R"({"title":"x","available":false})", "product", &request);
  ASSERT_TRUE(of_body.ok()) << of_body.status();
  EXPECT_THAT(*of_body, ElementsAre("title", "available"));
}

TEST(JsonCodec, MergesPlainTextFromAUrl) {
  Everything message;
  ASSERT_TRUE(MergeText("string_value", "a \"b\" / \xc3\xa4", &message).ok());
  ASSERT_TRUE(MergeText("int64Value", "12", &message).ok());
  ASSERT_TRUE(MergeText("bool_value", "true", &message).ok());
  ASSERT_TRUE(MergeText("color", "COLOR_RED", &message).ok());
  ASSERT_TRUE(MergeText("colors", "1", &message).ok());
  ASSERT_TRUE(MergeText("nested.again.nested.name", "deep", &message).ok());
  ASSERT_TRUE(MergeText("strings", "a", &message).ok());
  ASSERT_TRUE(MergeText("strings", "b", &message).ok());
  ASSERT_TRUE(MergeText("timestamp", "2024-02-29T12:00:00Z", &message).ok());
  ASSERT_TRUE(MergeText("field_mask", "a,b_c", &message).ok());
  ASSERT_TRUE(MergeText("optional_bool", "false", &message).ok());
  EXPECT_EQ(ToJson(message),
            "{\"bool_value\":true,\"int64_value\":\"12\",\"string_value\":\"a \\\"b\\\" / "
            "\xc3\xa4\",\"color\":\"COLOR_RED\","
            "\"nested\":{\"again\":{\"nested\":{\"name\":\"deep\"}}},\"optional_bool\":false,"
            "\"strings\":[\"a\",\"b\"],\"colors\":[\"COLOR_RED\"],"
            "\"timestamp\":\"2024-02-29T12:00:00Z\",\"field_mask\":\"a,bC\"}");

  EXPECT_EQ(MergeText("page_size", "10", &message).message(), "page_size: unknown field");
  EXPECT_EQ(MergeText("nested.nme", "x", &message).message(),
            "nested.nme: unknown field (did you mean 'name'?)");
  EXPECT_EQ(MergeText("int32_value", "ten", &message).message(),
            "int32_value: expected int32, found string \"ten\"");
  EXPECT_EQ(MergeText("bool_value", "yes", &message).message(),
            "bool_value: expected bool (true or false), found string \"yes\"");
  EXPECT_EQ(MergeText("string_value", "\xff", &message).message(),
            "string_value: the text is not UTF-8");
  EXPECT_FALSE(MergeText("", "x", &message).ok());
  EXPECT_FALSE(MergeText("nested", "x", &message).ok());
}

TEST(JsonCodec, WritesWhatJsonCannotSayAsNullAndSaysSoWhenAsked) {
  Everything message;
  message.mutable_timestamp()->set_seconds(int64_t{1} << 50);
  EXPECT_EQ(ToJson(message), R"({"timestamp":null})");
  EXPECT_EQ(ToJsonChecked(message).status().code(), StatusCode::kInternal);

  message.Clear();
  message.mutable_any()->set_type_url("type.googleapis.com/no.such.Type");
  EXPECT_EQ(ToJson(message), R"({"any":null})");
  EXPECT_THAT(std::string(ToJsonChecked(message).status().message()), HasSubstr("no.such.Type"));

  message.Clear();
  message.mutable_field_mask()->add_paths("notSnake");
  EXPECT_FALSE(ToJsonChecked(message).ok());

  message.Clear();
  google::protobuf::Any any;
  for (int i = 0; i < 1000; ++i) {
    google::protobuf::Any outer;
    outer.PackFrom(any);
    any = outer;
  }
  *message.mutable_any() = any;
  EXPECT_THAT(std::string(ToJsonChecked(message).status().message()), HasSubstr("too deep"));
}

TEST(JsonCodec, ReplacesBytesThatAreNotUtf8) {
  Product product;
  product.set_title("a\xff\xc3\xa4\xe2\x82 \"b\" and more than sixteen bytes");
  EXPECT_EQ(ToJson(product),
            "{\"title\":\"a\xef\xbf\xbd\xc3\xa4\xef\xbf\xbd\xef\xbf\xbd \\\"b\\\" and more than "
            "sixteen bytes\"}");
}

TEST(JsonCodec, AppendsToWhatIsThere) {
  std::string out = "data: ";
  AppendJson(Nothing(), out);
  EXPECT_EQ(out, "data: {}");
}

TEST(JsonCodec, KeepsNothingOfALargeDocument) {
  Product product;
  product.set_title(std::string(3'000'000, 'x'));
  const std::string text = ToJson(product);
  Product read;
  ASSERT_TRUE(FromJson(text, &read).ok());
  EXPECT_EQ(read.title(), product.title());
  EXPECT_EQ(ToJson(Nothing()), "{}");
}

}  // namespace
}  // namespace starling::json::test
