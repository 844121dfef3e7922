// protoc-gen-starling: from a contract to the C++ that serves it.
#include <google/protobuf/compiler/code_generator.h>
#include <google/protobuf/compiler/plugin.h>

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream.h>

#include <memory>
#include <string>

#include "codegen/json_generator.h"
#include "codegen/names.h"
#include "codegen/service_generator.h"

namespace starling::codegen {
namespace {

void Write(const std::string& name, const std::string& text,
           google::protobuf::compiler::GeneratorContext& context) {
  const std::unique_ptr<google::protobuf::io::ZeroCopyOutputStream> file(context.Open(name));
  google::protobuf::io::CodedOutputStream(file.get()).WriteString(text);
}

class Generator final : public google::protobuf::compiler::CodeGenerator {
 public:
  bool Generate(const google::protobuf::FileDescriptor* file, const std::string&,
                google::protobuf::compiler::GeneratorContext* context,
                std::string* error) const override {
    if (!CheckServices(*file, error)) return false;
    Write(BaseName(*file) + ".service.h", ServiceHeader(*file), *context);
    Write(BaseName(*file) + ".binding.cc", BindingSource(*file), *context);
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
