#include "journal/forgetful_files.hpp"

#include <sqlite3.h>

#include <algorithm>
#include <cstring>
#include <stdexcept>

namespace nestor::tests {
namespace {

// What a disk writes as a whole.
constexpr std::size_t sector = 512;

forgetful_files* all = nullptr; // SQLite's functions are told nothing of ours
sqlite3_vfs* usual = nullptr;

struct opened {
  sqlite3_file base;
  std::string* name;
  forgetful_files::file* is;
};

opened& of(sqlite3_file* f) {
  return *reinterpret_cast<opened*>(f);
}

int do_close(sqlite3_file* f) {
  delete of(f).name;
  return SQLITE_OK;
}
int do_read(sqlite3_file* f, void* to, int amount, sqlite3_int64 at) {
  const auto& bytes = of(f).is->now;
  auto wanted = static_cast<std::size_t>(amount);
  auto from = std::min(static_cast<std::size_t>(at), bytes.size());
  auto there = std::min(wanted, bytes.size() - from);
  std::memcpy(to, bytes.data() + from, there);
  std::memset(static_cast<char*>(to) + there, 0, wanted - there);
  return there == wanted ? SQLITE_OK : SQLITE_IOERR_SHORT_READ;
}
int change(sqlite3_file* f, forgetful_files::write what) {
  if (!all->step())
    return SQLITE_IOERR_WRITE;
  auto& file = *of(f).is;
  forgetful_files::apply(file.now, what, what.bytes.size());
  file.unsynced.push_back(std::move(what));
  return SQLITE_OK;
}
int do_write(sqlite3_file* f, const void* from, int amount, sqlite3_int64 at) {
  return change(f, {static_cast<std::size_t>(at),
                    std::string{static_cast<const char*>(from), static_cast<std::size_t>(amount)}, false});
}
int do_truncate(sqlite3_file* f, sqlite3_int64 size) {
  return change(f, {static_cast<std::size_t>(size), "", true});
}
int do_sync(sqlite3_file* f, int) {
  if (!all->step())
    return SQLITE_IOERR_FSYNC;
  auto& file = *of(f).is;
  file.synced = file.now;
  file.unsynced.clear();
  return SQLITE_OK;
}
int do_size(sqlite3_file* f, sqlite3_int64* size) {
  *size = static_cast<sqlite3_int64>(of(f).is->now.size());
  return SQLITE_OK;
}
int do_lock(sqlite3_file*, int) {
  return SQLITE_OK;
}
int do_check(sqlite3_file*, int* taken) {
  *taken = 0;
  return SQLITE_OK;
}
int do_control(sqlite3_file*, int, void*) {
  return SQLITE_NOTFOUND;
}
int do_sector(sqlite3_file*) {
  return sector;
}
int no_promises(sqlite3_file*) {
  return 0;
}

const sqlite3_io_methods methods{1,       do_close, do_read,  do_write,   do_truncate, do_sync,     do_size,
                                 do_lock, do_lock,  do_check, do_control, do_sector,   no_promises, nullptr,
                                 nullptr, nullptr,  nullptr,  nullptr,    nullptr};

int do_open(sqlite3_vfs*, const char* name, sqlite3_file* f, int flags, int* out) {
  of(f).name = new std::string{name ? name : "temporary"};
  of(f).is = &all->files()[*of(f).name];
  of(f).base.pMethods = &methods;
  if (out)
    *out = flags;
  return SQLITE_OK;
}
int do_delete(sqlite3_vfs*, const char* name, int) {
  if (!all->step())
    return SQLITE_IOERR_DELETE;
  all->files().erase(name);
  return SQLITE_OK;
}
int do_access(sqlite3_vfs*, const char* name, int, int* there) {
  *there = all->files().contains(name) ? 1 : 0;
  return SQLITE_OK;
}
int do_full_path(sqlite3_vfs*, const char* name, int size, char* to) {
  sqlite3_snprintf(size, to, "%s", name);
  return SQLITE_OK;
}
int do_random(sqlite3_vfs*, int size, char* to) {
  return usual->xRandomness(usual, size, to);
}
int do_sleep(sqlite3_vfs*, int) {
  return 0;
}
int do_time(sqlite3_vfs*, double* now) {
  return usual->xCurrentTime(usual, now);
}
int no_error(sqlite3_vfs*, int, char*) {
  return 0;
}

sqlite3_vfs layer = [] {
  sqlite3_vfs v{};
  v.iVersion = 1;
  v.szOsFile = sizeof(opened);
  v.mxPathname = 512;
  v.zName = "forgetful";
  v.xOpen = do_open;
  v.xDelete = do_delete;
  v.xAccess = do_access;
  v.xFullPathname = do_full_path;
  v.xRandomness = do_random;
  v.xSleep = do_sleep;
  v.xCurrentTime = do_time;
  v.xGetLastError = no_error;
  return v;
}();

} // namespace

forgetful_files::forgetful_files(std::uint64_t seed) : random_(seed) {
  usual = sqlite3_vfs_find(nullptr);
  all = this;
  if (sqlite3_vfs_register(&layer, 1) != SQLITE_OK)
    throw std::runtime_error{"SQLite takes no file layer"};
}

forgetful_files::~forgetful_files() {
  sqlite3_vfs_unregister(&layer);
  sqlite3_vfs_register(usual, 1);
  all = nullptr;
}

bool forgetful_files::step() {
  if (left_ != 0 && left_ != UINT64_MAX)
    --left_;
  return left_ != 0;
}

void forgetful_files::apply(std::string& to, const write& what, std::size_t bytes) {
  if (what.truncates)
    return to.resize(std::min(to.size(), what.at));
  to.resize(std::max(to.size(), what.at + bytes));
  to.replace(what.at, bytes, what.bytes, 0, bytes);
}

void forgetful_files::restart() {
  for (auto& [name, kept] : files_) {
    for (const auto& each : kept.unsynced)
      switch (random_() % 3) {
        case 0: break;
        case 1: apply(kept.synced, each, each.bytes.size()); break;
        default: apply(kept.synced, each, random_() % (each.bytes.size() / sector + 1) * sector);
      }
    kept.unsynced.clear();
    kept.now = kept.synced;
  }
  left_ = UINT64_MAX;
}

} // namespace nestor::tests
