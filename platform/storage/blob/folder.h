// Blobs as files of one folder: what is embedded, with nothing installed.
//
//   FOLDER/recommender%7.model    the blob "recommender/7.model": its bytes, then 48 bytes:
//                                 SHA-256 (32), size (8, little endian), "stblob01"
//   FOLDER/.new-ID                being written; Open removes what a crash left
//
// One flat folder, so that "a" and "a/b" may both be, and no key leads out of it: '%' is in none.
// A file is written beside its name, synced, and gets the name by rename(2), or by link(2), which
// refuses a name that is there, for only_if_absent; then the folder is synced. A file that does not
// end as written is DATA_LOSS at once; other damage is found by Get.
//
// One process at a time: Open takes what others write for what a crash left. List reads the whole
// folder for each page: fit for some ten thousand blobs.
#pragma once

#include <filesystem>
#include <memory>

#include "platform/storage/blob/store.h"

namespace starling::blob {

// Makes the folder when absent.
StatusOr<std::unique_ptr<Store>> OpenFolder(std::filesystem::path folder);

}  // namespace starling::blob
