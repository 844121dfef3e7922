#include "services/inference/model_files.h"

namespace starling::inference {
namespace {

constexpr char kArtifact[] = ".model";
constexpr char kVersion[] = ".version";

}  // namespace

StatusOr<ModelFiles> ModelFiles::Open(std::filesystem::path folder, size_t index_memory) {
  STARLING_RETURN_IF_ERROR(RemoveUnfinished(folder).status());
  return ModelFiles(std::move(folder), index_memory);
}

std::filesystem::path ModelFiles::PathOf(const std::string& model, const std::string& version,
                                         const char* suffix) const {
  return folder_ / (model + "-" + version + suffix);
}

StatusOr<DurableFile> ModelFiles::Create(const std::string& model,
                                         const std::string& version) const {
  return DurableFile::Create(PathOf(model, version, kArtifact));
}

StatusOr<std::shared_ptr<const LoadedModel>> ModelFiles::Keep(
    DurableFile file, const training::v1::ModelVersion& version, TimePoint now) const {
  const std::filesystem::path path = PathOf(version.model(), version.version(), kArtifact);
  STARLING_RETURN_IF_ERROR(file.Commit());
  auto loaded = LoadedModel::Open(path, version, now, index_memory_);
  if (!loaded.ok()) {
    std::error_code ignored;
    std::filesystem::remove(path, ignored);
    return loaded;
  }
  STARLING_RETURN_IF_ERROR(WriteDurably(PathOf(version.model(), version.version(), kVersion),
                                        version.SerializeAsString()));
  return loaded;
}

StatusOr<std::shared_ptr<const LoadedModel>> ModelFiles::Load(const std::string& model,
                                                              const std::string& version,
                                                              TimePoint now) const {
  STARLING_ASSIGN_OR_RETURN(const std::string about, ReadWhole(PathOf(model, version, kVersion)));
  training::v1::ModelVersion parsed;
  if (!parsed.ParseFromString(about)) {
    return DataLoss("{} is damaged; remove it", PathOf(model, version, kVersion).string());
  }
  return LoadedModel::Open(PathOf(model, version, kArtifact), std::move(parsed), now,
                           index_memory_);
}

Status ModelFiles::SetServing(const std::string& model, const std::string& version) const {
  return WriteDurably(folder_ / (model + ".serving"), version);
}

StatusOr<std::optional<std::string>> ModelFiles::Serving(const std::string& model) const {
  StatusOr<std::string> version = ReadWhole(folder_ / (model + ".serving"));
  if (version.status().code() == StatusCode::kNotFound) return std::optional<std::string>();
  if (!version.ok()) return version.status();
  return std::optional(*std::move(version));
}

Status ModelFiles::RemoveOthers(const std::string& model, const std::set<std::string>& keep) const {
  std::error_code error;
  std::vector<std::filesystem::path> others;
  for (const auto& entry : std::filesystem::directory_iterator(folder_, error)) {
    const std::string name = entry.path().stem().string();
    const std::string suffix = entry.path().extension().string();
    if (!name.starts_with(model + "-") || (suffix != kArtifact && suffix != kVersion)) continue;
    if (!keep.contains(name.substr(model.size() + 1))) others.push_back(entry.path());
  }
  for (const auto& path : others) std::filesystem::remove(path, error);
  return OkStatus();
}

}  // namespace starling::inference
