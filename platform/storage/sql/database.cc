#include <future>

#include "platform/storage/sql/postgres/database.h"
#include "platform/storage/sql/sql.h"
#include "platform/storage/sql/sqlite/database.h"

namespace starling::sql {

StatusOr<std::unique_ptr<Database>> Database::Open(Options options,
                                                   std::span<const EmbeddedFile> migrations) {
  return options.url.empty() ? OpenSqlite(options, migrations) : OpenPostgres(options, migrations);
}

Task<Status> Database::UpkeepTask(Upkeep upkeep) {
  co_return co_await Suspend<Status>([&](Completion<Status> completion) {
    auto shared = std::make_shared<Completion<Status>>(std::move(completion));
    SubmitUpkeep(upkeep, [shared](Status status) { (*shared)(std::move(status)); });
  });
}

Status Database::UpkeepSync(Upkeep upkeep) {
  STARLING_RETURN_IF_ERROR(MayBlock());
  auto promise = std::make_shared<std::promise<Status>>();
  std::future<Status> result = promise->get_future();
  SubmitUpkeep(upkeep, [promise](Status status) { promise->set_value(std::move(status)); });
  return result.get();
}

}  // namespace starling::sql
