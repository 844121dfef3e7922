#include "platform/host/environment.h"

#include "platform/base/id.h"
#include "platform/storage/file/durable_file.h"

namespace starling::host {

StatusOr<std::string> Environment::OwnGroup(std::string_view service) {
  if (!events_.FeedsViews()) return std::string(service);
  STARLING_ASSIGN_OR_RETURN(const std::filesystem::path folder, Folder(service));
  const std::filesystem::path file = folder / "instance";
  StatusOr<std::string> id = ReadWhole(file);
  if (id.status().code() == StatusCode::kNotFound) {
    id = NewId();
    STARLING_RETURN_IF_ERROR(WriteDurably(file, *id));
  }
  if (!id.ok()) return id.status();
  return std::string(service) + "." + *id;
}

}  // namespace starling::host
