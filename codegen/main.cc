// protoc-gen-starling: from a contract to the C++ that serves it.
#include <google/protobuf/compiler/code_generator.h>
#include <google/protobuf/compiler/plugin.h>

#include <string>

#include "codegen/json_generator.h"

namespace starling::codegen {
namespace {

class Generator final : public google::protobuf::compiler::CodeGenerator {
 public:
  bool Generate(const google::protobuf::FileDescriptor* file, const std::string&,
                google::protobuf::compiler::GeneratorContext* context,
                std::string* error) const override {
    return GenerateJson(*file, context, error);
  }
  uint64_t GetSupportedFeatures() const override { return FEATURE_PROTO3_OPTIONAL; }
};

}  // namespace
}  // namespace starling::codegen

int main(int argc, char** argv) {
  starling::codegen::Generator generator;
  return google::protobuf::compiler::PluginMain(argc, argv, &generator);
}
