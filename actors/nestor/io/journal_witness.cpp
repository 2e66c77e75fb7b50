#include <nestor/io/journal_witness.hpp>

#include <nestor/io/durable_file.hpp>

#include <sys/stat.h>

#include <fstream>

namespace nestor::io {
namespace {

constexpr const char* form = "nestor journal witness 1";

} // namespace

std::string doubt_of(const journal_claim& claim, const std::optional<journal_witness>& seen) {
  if (!seen)
    return "the witness that was kept beside it is missing: it comes from a backup or another folder";
  if (seen->file != claim.file)
    return "its file is another one than before: a copy, or restored from a backup";
  if (!seen->machine.empty() && !claim.machine.empty() && seen->machine != claim.machine)
    return "it was last opened on another machine, which may still run it";
  if (seen->life != claim.life && seen->life != claim.before)
    return "a later life of it has been seen: it is an older state, or a copy that went another way";
  if (seen->commits > claim.commits)
    return "it has been further than this: it is an older state, restored from a backup";
  return {};
}

std::optional<journal_witness> read_witness(const std::string& path) {
  std::ifstream in{path};
  std::string line;
  if (!std::getline(in, line) || line != form)
    return std::nullopt;
  journal_witness w;
  for (std::string word; in >> word;) {
    if (word == "life")
      in >> w.life;
    else if (word == "commits")
      in >> w.commits;
    else if (word == "file")
      in >> w.file;
    else if (word == "machine")
      in >> w.machine;
  }
  return w.life.empty() ? std::nullopt : std::optional{w};
}

bool write_witness(const std::string& path, const journal_witness& witness) {
  auto text = std::string{form} + "\nlife " + witness.life + "\ncommits " + std::to_string(witness.commits) +
              "\nfile " + std::to_string(witness.file) + "\n";
  if (!witness.machine.empty())
    text += "machine " + witness.machine + "\n";
  return put_file(path, text);
}

std::uint64_t inode_of(const std::string& path) {
  struct stat is {};
  return ::stat(path.c_str(), &is) == 0 ? is.st_ino : 0;
}

std::string machine_id() {
  std::ifstream in{"/etc/machine-id"};
  std::string id;
  in >> id;
  return id.size() == 32 ? id : std::string{};
}

} // namespace nestor::io
