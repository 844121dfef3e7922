#include "platform/config/registry.h"

#include <sys/stat.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "platform/config/registry_state.h"
#include "platform/config/yaml.h"

namespace starling::config {
namespace {

[[noreturn]] void EndProcess(const std::string& message) {
  std::fprintf(stderr, "fatal: configuration: %s\n", message.c_str());
  std::abort();
}

bool IsWithin(std::string_view key, std::string_view prefix) {
  return key == prefix ||
         (key.size() > prefix.size() && key.starts_with(prefix) && key[prefix.size()] == '.');
}

// The node of a key, nullptr when no source says it.
const Node* NodeAt(const Node& tree, std::string_view key) {
  const Node* at = &tree;
  for (const std::string& part : SplitKey(key)) {
    at = at->Find(part);
    if (at == nullptr) return nullptr;
  }
  return at;
}

// Whether two trees say the same, wherever they are written.
bool SayTheSame(const Node& a, const Node& b) {
  return a.kind == b.kind && a.text == b.text && a.is_text == b.is_text && a.secret == b.secret &&
         std::equal(a.items.begin(), a.items.end(), b.items.begin(), b.items.end(), SayTheSame) &&
         std::equal(a.members.begin(), a.members.end(), b.members.begin(), b.members.end(),
                    [](const Member& x, const Member& y) {
                      return x.key == y.key && SayTheSame(x.value, y.value);
                    });
}

// Keys of the file that are above every section, or beside them. Within a section its type looks.
void FindUnknown(const Node& node, const std::string& prefix,
                 const std::vector<SectionEntry>& sections, const KeySpace& keys,
                 Problems& problems) {
  for (const Member& member : node.members) {
    const std::string key = JoinKey(prefix, member.key);
    bool is_section = false, leads_to_section = false;
    for (const SectionEntry& section : sections) {
      is_section = is_section || section.name == key;
      leads_to_section = leads_to_section || IsWithin(section.name, key);
    }
    if (is_section || IsUnread(keys, key)) continue;
    if (!leads_to_section) {
      AddUnknownKey(member.origin, key, key, keys.Keys(), problems);
    } else if (member.value.kind == Node::kMap) {
      FindUnknown(member.value, key, sections, keys, problems);
    } else if (member.value.kind != Node::kNull) {
      problems.Add(member.value.origin, key, "expected a map of sections");
    }
  }
}

bool IsFileOfSecret(const StructType& type, std::string_view name) {
  constexpr std::string_view kFile = "_file";
  if (!name.ends_with(kFile)) return false;
  const FieldBase* field = type.Find(name.substr(0, name.size() - kFile.size()));
  return field != nullptr && field->type->shape() == ValueType::kSecret;
}

void CollectKeys(const StructType& type, const std::string& prefix,
                 std::vector<std::string>& keys) {
  for (const auto& field : type.fields()) {
    const std::string key = JoinKey(prefix, field->name);
    keys.push_back(key);
    if (field->type->shape() == ValueType::kSecret) keys.push_back(key + "_file");
    if (const StructType* inner = field->type->AsStruct()) CollectKeys(*inner, key, keys);
  }
}

// Keys whose values differ, as deep as there are sections and maps.
void Differences(const ValueType& type, const void* a, const void* b, const std::string& key,
                 std::vector<std::string>& changed) {
  if (type.Same(a, b)) return;
  if (const StructType* section = type.AsStruct()) {
    for (const auto& field : section->fields())
      Differences(*field->type, field->In(a), field->In(b), JoinKey(key, field->name), changed);
    return;
  }
  if (type.shape() != ValueType::kMap) {
    changed.push_back(key);
    return;
  }
  // FindIn serves both sides; what it finds is only read.
  const auto in = [&](const void* map, const std::string& name) -> const void* {
    return type.FindIn(const_cast<void*>(map), name);
  };
  for (const std::string& name : type.KeysOf(a)) {
    if (const void* other = in(b, name)) {
      Differences(*type.element(), in(a, name), other, JoinKey(key, name), changed);
    } else {
      changed.push_back(JoinKey(key, name));
    }
  }
  for (const std::string& name : type.KeysOf(b)) {
    if (in(a, name) == nullptr) changed.push_back(JoinKey(key, name));
  }
}

// Puts back what may not change while the process runs.
void KeepRunning(const StructType& type, const std::string& prefix, const Node& tree, void* current,
                 void* next, std::vector<Pending>& pending) {
  for (const auto& field : type.fields()) {
    const ValueType& of_field = *field->type;
    const std::string key = JoinKey(prefix, field->name);
    void* const now = field->In(current);
    void* const then = field->In(next);
    if (field->needs_restart) {
      if (of_field.Same(now, then)) continue;
      pending.push_back({key, WriteFlow(of_field.Write(now)), WriteFlow(of_field.Write(then)),
                         SourceOf(tree, key)});
      of_field.Assign(now, then);
    } else if (const StructType* inner = of_field.AsStruct()) {
      KeepRunning(*inner, key, tree, now, then, pending);
    } else if (of_field.shape() == ValueType::kMap && of_field.element()->AsStruct() != nullptr) {
      for (const std::string& name : of_field.KeysOf(then)) {
        void* const known = of_field.FindIn(now, name);
        if (known == nullptr) continue;
        KeepRunning(*of_field.element()->AsStruct(), JoinKey(key, name), tree, known,
                    of_field.FindIn(then, name), pending);
      }
    }
  }
}

std::vector<std::string> YamlFiles(const Sources& sources) {
  std::vector<std::string> files;
  if (!sources.file.empty() && !sources.file_content) files.push_back(sources.file);
  files.insert(files.end(), sources.more_files.begin(), sources.more_files.end());
  return files;
}

std::string SignatureOf(const Source* cluster, const std::vector<std::string>& files) {
  std::string signature = fmt::format("{};", cluster == nullptr ? 0 : cluster->version());
  for (const std::string& path : files) {
    struct stat about;
    if (::stat(path.c_str(), &about) == 0) {
      signature += fmt::format("{}.{:09} {} {};", about.st_mtim.tv_sec, about.st_mtim.tv_nsec,
                               about.st_size, about.st_ino);
    } else {
      signature += "absent;";
    }
  }
  return signature;
}

}  // namespace

std::string SourceOf(const Node& tree, const std::string& key) {
  if (const Node* node = NodeAt(tree, key)) return node->origin.text;
  if (const Node* node = NodeAt(tree, key + "_file")) return node->origin.text;
  return "default";
}

Registry::Registry() : state_(std::make_unique<State>()) {}
Registry::~Registry() = default;

const ValueType* Registry::State::TypeAt(const std::vector<std::string>& key) const {
  std::string joined;
  for (const std::string& part : key) joined = JoinKey(joined, part);
  for (const SectionEntry& section : sections) {
    if (!IsWithin(joined, section.name)) continue;
    const ValueType* type = section.type;
    for (size_t i = SplitKey(section.name).size(); i < key.size(); ++i) {
      if (const StructType* owner = type->AsStruct()) {
        if (IsFileOfSecret(*owner, key[i]) && i + 1 == key.size())
          return TypeOf<std::string>().get();
        const FieldBase* field = owner->Find(key[i]);
        if (field == nullptr) return nullptr;
        type = field->type.get();
      } else if (type->shape() == ValueType::kMap && !key[i].empty()) {
        type = type->element();
      } else {
        return nullptr;
      }
    }
    return type;
  }
  return nullptr;
}

std::shared_ptr<void> Registry::FindCell(const std::string& name, std::type_index type) const {
  for (const SectionEntry& section : state_->sections) {
    if (section.name != name) continue;
    if (section.cpp_type != type) EndProcess("section '" + name + "' is registered with two types");
    return section.cell;
  }
  return nullptr;
}

void Registry::Register(SectionEntry entry) {
  for (const std::string& part : SplitKey(entry.name)) {
    if (part.empty()) EndProcess("the section name '" + entry.name + "' has an empty part");
  }
  for (const SectionEntry& section : state_->sections) {
    if (IsWithin(section.name, entry.name) || IsWithin(entry.name, section.name)) {
      EndProcess("section '" + entry.name + "' and section '" + section.name +
                 "' are within each other");
    }
  }
  state_->keys.push_back(entry.name);
  CollectKeys(*entry.type, entry.name, state_->keys);
  state_->sections.push_back(std::move(entry));
}

void Registry::AllowUnread(std::string prefix) { state_->unread.push_back(std::move(prefix)); }

Status Registry::Load(Sources sources) {
  const std::lock_guard lock(state_->reload_mutex);
  state_->sources = std::move(sources);
  state_->loaded = false;
  Status status = Apply().status();
  state_->loaded = status.ok();
  return status;
}

StatusOr<Report> Registry::Reload() {
  const std::lock_guard lock(state_->reload_mutex);
  StatusOr<Report> report = Apply();
  state_->loaded = state_->loaded || report.ok();
  state_->reload_listeners.Call(&report);
  return report;
}

Subscription Registry::OnReload(std::function<void(const StatusOr<Report>&)> callback) {
  return Subscription(
      state_->reload_listeners.Add([callback = std::move(callback)](const void* report) {
        callback(*static_cast<const StatusOr<Report>*>(report));
      }));
}

// Whether the section's value is that of the running configuration without a look at its type.
bool Registry::State::IsAsBefore(size_t i, const Node* given) const {
  const SectionEntry& section = sections[i];
  if (!loaded || reads_files[i]) return false;
  const Node* const before = NodeAt(tree, section.name);
  if ((given == nullptr) != (before == nullptr)) return false;
  if (given != nullptr && !SayTheSame(*given, *before)) return false;
  return std::none_of(pending.begin(), pending.end(),
                      [&](const Pending& one) { return IsWithin(one.key, section.name); });
}

StatusOr<Report> Registry::Apply() {
  State& state = *state_;
  std::vector<std::string> files = this->files();
  if (files.empty()) files = YamlFiles(state.sources);
  const std::string signature = SignatureOf(state.sources.cluster.get(), files);
  Reading reading;
  Node tree = MergeSources(state.sources, state, reading.problems);
  FindUnknown(tree, "", state.sections, state, reading.problems);
  std::vector<std::shared_ptr<void>> next;  // nullptr: as before
  const Node nothing = Node::Of(Node::kMap);
  std::vector<bool> reads_files = state.reads_files;
  reads_files.resize(state.sections.size());
  for (size_t i = 0; i < state.sections.size(); ++i) {
    const SectionEntry& section = state.sections[i];
    const Node* given = NodeAt(tree, section.name);
    next.emplace_back();
    if (state.IsAsBefore(i, given)) continue;
    const size_t files_before = reading.secret_files.size();
    next.back() = section.type->New();
    section.type->Read(given != nullptr ? *given : nothing, section.name, next.back().get(),
                       reading);
    reads_files[i] = reading.secret_files.size() > files_before;
  }
  {
    const std::lock_guard lock(state.mutex);
    state.problems = reading.problems.list();
    state.cluster = state.sources.cluster;
    state.files = std::move(reading.secret_files);
    const std::vector<std::string> yaml = YamlFiles(state.sources);
    state.files.insert(state.files.end(), yaml.begin(), yaml.end());
    state.loaded_signature.reset();
    if (state.files == files) state.loaded_signature = signature;
  }
  STARLING_RETURN_IF_ERROR(reading.problems.ToStatus());

  Report report;
  std::vector<Pending> pending;
  for (size_t i = 0; i < next.size(); ++i) {
    if (next[i] == nullptr) continue;
    const SectionEntry& section = state.sections[i];
    const std::shared_ptr<const void> current = section.get();
    if (state.loaded) {
      // `current` is only read; FindIn and In serve both sides of the comparison.
      KeepRunning(*section.type, section.name, tree, const_cast<void*>(current.get()),
                  next[i].get(), pending);
    }
    const size_t before = report.changed.size();
    Differences(*section.type, current.get(), next[i].get(), section.name, report.changed);
    if (report.changed.size() == before) next[i].reset();
  }
  for (const Pending& one : pending) report.needs_restart.push_back(one.key);
  state.reads_files = std::move(reads_files);
  {
    const std::lock_guard lock(state.mutex);
    std::swap(state.tree, tree);  // the old one goes without the lock
    state.pending = std::move(pending);
    for (size_t i = 0; i < next.size(); ++i) {
      if (next[i] != nullptr) state.sections[i].set(next[i]);
    }
  }
  for (size_t i = 0; i < next.size(); ++i) {
    if (next[i] != nullptr) state.sections[i].notify(next[i].get());
  }
  return report;
}

std::vector<Problem> Registry::problems() const {
  const std::lock_guard lock(state_->mutex);
  return state_->problems;
}

std::vector<std::string> Registry::PendingRestart() const {
  const std::lock_guard lock(state_->mutex);
  std::vector<std::string> lines;
  for (const Pending& one : state_->pending) {
    lines.push_back(fmt::format("{}: running {}, wanted {} ({})", one.key, one.running, one.wanted,
                                one.source));
  }
  return lines;
}

std::string Registry::Signature() const {
  std::vector<std::string> files;
  std::shared_ptr<Source> cluster;
  {
    const std::lock_guard lock(state_->mutex);
    files = state_->files;
    cluster = state_->cluster;
  }
  return SignatureOf(cluster.get(), files);  // a disk may be slow
}

std::optional<std::string> Registry::LoadedSignature() const {
  const std::lock_guard lock(state_->mutex);
  return state_->loaded_signature;
}

std::vector<std::string> Registry::files() const {
  const std::lock_guard lock(state_->mutex);
  return state_->files;
}

}  // namespace starling::config
