#include "codegen/json_generator.h"

#include <gmock/gmock.h>
#include <google/protobuf/compiler/importer.h>
#include <google/protobuf/compiler/parser.h>
#include <google/protobuf/descriptor.pb.h>
#include <google/protobuf/io/tokenizer.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>

#include "codegen/names.h"

namespace starling::codegen {
namespace {

namespace pb = google::protobuf;
using testing::HasSubstr;
using testing::Not;

// Keeps what a generator writes.
class Files final : public pb::compiler::GeneratorContext {
 public:
  pb::io::ZeroCopyOutputStream* Open(const std::string& name) override {
    return new pb::io::StringOutputStream(&files[name]);
  }
  std::map<std::string, std::string> files;
};

class JsonGenerator : public testing::Test {
 protected:
  const pb::FileDescriptor& Parse(const std::string& source) {
    pb::io::ArrayInputStream stream(source.data(), static_cast<int>(source.size()));
    pb::io::Tokenizer tokenizer(&stream, nullptr);
    pb::FileDescriptorProto proto;
    EXPECT_TRUE(pb::compiler::Parser().Parse(&tokenizer, &proto));
    proto.set_name("shop/v1/shop.proto");
    const pb::FileDescriptor* file = pool_.BuildFile(proto);
    EXPECT_NE(file, nullptr);
    return *file;
  }

  pb::DescriptorPool pool_;
  Files context_;
  std::string error_;
};

TEST_F(JsonGenerator, WritesBothFilesForAContractWithoutMessages) {
  ASSERT_TRUE(GenerateJson(Parse("syntax = 'proto3'; package shop.v1;"), &context_, &error_))
      << error_;
  EXPECT_THAT(context_.files["shop/v1/shop.json.h"], HasSubstr("#pragma once"));
  EXPECT_THAT(context_.files["shop/v1/shop.json.cc"],
              HasSubstr("#include \"shop/v1/shop.json.h\""));
}

TEST_F(JsonGenerator, RefusesProto2AndSaysWhatToWrite) {
  EXPECT_FALSE(GenerateJson(Parse("syntax = 'proto2'; message M { required int32 a = 1; }"),
                            &context_, &error_));
  EXPECT_EQ(error_,
            "shop/v1/shop.proto: messages must be proto3 to have a JSON codec; write syntax = "
            "\"proto3\"");
}

TEST_F(JsonGenerator, DeclaresTheCodecOfNestedMessagesAndEnumsInTheMessagesNamespace) {
  const pb::FileDescriptor& file = Parse(
      "syntax = 'proto3'; package shop.v1; message Outer { message Inner { enum Kind { A = 0; } } "
      "map<string, int32> m = 1; }");
  ASSERT_TRUE(GenerateJson(file, &context_, &error_)) << error_;
  const std::string& header = context_.files["shop/v1/shop.json.h"];
  EXPECT_THAT(header, HasSubstr("namespace shop::v1 {"));
  EXPECT_THAT(header, HasSubstr("void WriteJson(const Outer_Inner& message,"));
  EXPECT_THAT(header, HasSubstr("void WriteJson(Outer_Inner_Kind value,"));
  EXPECT_THAT(header, Not(HasSubstr("Entry")));
}

TEST_F(JsonGenerator, NamesFieldsAsProtocDoes) {
  const pb::FileDescriptor& file = Parse(
      "syntax = 'proto3'; package shop.v1; message M { int32 class = 1; int32 CamelName = 2; }");
  EXPECT_EQ(Accessor(*file.message_type(0)->field(0)), "class_");
  EXPECT_EQ(Accessor(*file.message_type(0)->field(1)), "camelname");
  EXPECT_EQ(Namespace(file), "shop::v1");
  EXPECT_EQ(QualifiedName(*file.message_type(0)), "::shop::v1::M");
  EXPECT_EQ(BaseName(file), "shop/v1/shop");
  EXPECT_EQ(PascalCase("image_url_2x"), "ImageUrl2x");
  EXPECT_EQ(Quoted("a\"b\\"), "\"a\\\"b\\\\\"");
}

}  // namespace
}  // namespace starling::codegen
