// `nestor completion`: scripts that complete verbs, options and their words in bash, zsh and fish, and the manual page;
// all of them made from the one table of verbs that the parser itself has.
#include "verbs.hpp"

#include <CLI/CLI.hpp>

#include <algorithm>
#include <iostream>
#include <sstream>

namespace nestor::cli {
namespace {

enum class value_kind : std::uint8_t { none, words, file, other };

struct option_row {
  std::vector<std::string> names; ///< "-f", "--file"; empty: positional
  std::string positional;
  std::string summary;
  std::string type; ///< as shown: "FILE"
  value_kind takes = value_kind::none;
  std::vector<std::string> words;
};

struct verb_row {
  std::string path; ///< "sandbox create"; empty: the program
  std::string summary, footer;
  std::vector<std::pair<std::string, std::string>> verbs; ///< below it, with their summaries
  std::vector<option_row> options;
};

std::vector<std::string> split(const std::string& text, const std::string& at) {
  std::vector<std::string> parts;
  std::string part;
  for (char c : text) {
    if (at.find(c) == std::string::npos)
      part += c;
    else if (!part.empty())
      parts.push_back(std::exchange(part, {}));
  }
  if (!part.empty())
    parts.push_back(part);
  return parts;
}

/// "TEXT:{a,b}" names its words; a FORMAT's are those of its description ("table, json or yaml").
option_row row_of(const CLI::Option& option) {
  option_row row;
  for (const auto& name : option.get_snames())
    row.names.push_back("-" + name);
  for (const auto& name : option.get_lnames())
    row.names.push_back("--" + name);
  if (row.names.empty())
    row.positional = option.get_name(true);
  row.summary = option.get_description();
  if (option.get_items_expected_max() == 0)
    return row;
  auto type = option.get_type_name();
  row.takes = value_kind::other;
  row.type = split(type, ":").empty() ? "VALUE" : split(type, ":").front();
  if (auto open = type.find('{'); open != std::string::npos)
    row.words = split(type.substr(open + 1, type.find('}') - open - 1), ",");
  if (row.type == "FORMAT")
    row.words = split(row.summary, ", ");
  std::erase(row.words, "or");
  if (!row.words.empty())
    row.takes = value_kind::words;
  else if (row.type == "FILE" || row.type == "FOLDER")
    row.takes = value_kind::file;
  return row;
}

void gather(const CLI::App& app, const std::string& path, std::vector<verb_row>& into) {
  verb_row row{path, app.get_description(), app.get_footer(), {}, {}};
  auto below = app.get_subcommands([](const CLI::App*) { return true; });
  for (const auto* each : below)
    row.verbs.emplace_back(each->get_name(), each->get_description());
  for (const auto* each : app.get_options())
    row.options.push_back(row_of(*each));
  into.push_back(std::move(row));
  for (const auto* each : below)
    gather(*each, path.empty() ? each->get_name() : path + " " + each->get_name(), into);
}

std::string joined(const std::vector<std::string>& parts, const std::string& between) {
  std::string all;
  for (const auto& part : parts)
    all.append(all.empty() ? "" : between).append(part);
  return all;
}

/// What may stand after that verb: verbs, options, words of what is not an option.
std::vector<std::string> words_after(const verb_row& verb) {
  std::vector<std::string> all;
  for (const auto& [name, summary] : verb.verbs)
    all.push_back(name);
  for (const auto& option : verb.options)
    all.insert(all.end(), option.positional.empty() ? option.names.begin() : option.words.begin(),
               option.positional.empty() ? option.names.end() : option.words.end());
  return all;
}

/// zsh reads it, too: its bashcompinit is there for that.
std::string bash_script(const std::vector<verb_row>& verbs) {
  std::ostringstream out;
  out << "# nestor: completion for bash. Made by `nestor completion bash`.\n"
         "_nestor() {\n"
         "  local current=\"${COMP_WORDS[COMP_CWORD]}\" before=\"${COMP_WORDS[COMP_CWORD-1]}\" verb= words= i\n"
         "  COMPREPLY=()\n"
         "  for ((i = 1; i < COMP_CWORD; ++i)); do\n"
         "    case \"$verb${verb:+ }${COMP_WORDS[i]}\" in\n      ";
  std::vector<std::string> paths;
  for (const auto& verb : verbs)
    if (!verb.path.empty())
      paths.push_back("'" + verb.path + "'");
  out << joined(paths, " | ") << ") verb+=\"${verb:+ }${COMP_WORDS[i]}\" ;;\n    esac\n  done\n"
      << "  case \"$verb:$before\" in\n";
  for (const auto& verb : verbs)
    for (const auto& option : verb.options) {
      std::vector<std::string> keys;
      for (const auto& name : option.names)
        keys.push_back("'" + verb.path + ":" + name + "'");
      if (keys.empty() || option.takes == value_kind::none)
        continue;
      out << "    " << joined(keys, " | ") << ") ";
      if (option.takes == value_kind::words)
        out << "COMPREPLY=($(compgen -W '" << joined(option.words, " ") << "' -- \"$current\")); return ;;\n";
      else
        out << (option.takes == value_kind::file ? "COMPREPLY=($(compgen -f -- \"$current\")); return ;;\n"
                                                 : "return ;;\n");
    }
  out << "  esac\n  case \"$verb\" in\n";
  for (const auto& verb : verbs)
    out << "    '" << verb.path << "') words='" << joined(words_after(verb), " ") << "' ;;\n";
  out << "  esac\n"
         "  COMPREPLY=($(compgen -W \"$words\" -- \"$current\"))\n"
         "}\n"
         "complete -F _nestor nestor\n";
  return out.str();
}

std::string zsh_script(const std::vector<verb_row>& verbs) {
  return "#compdef nestor\n# nestor: completion for zsh. Made by `nestor completion zsh`.\n"
         "autoload -U +X bashcompinit && bashcompinit\n" +
         bash_script(verbs);
}

std::string fish_quoted(const std::string& text) {
  std::string out = "'";
  for (char c : text)
    out += c == '\'' || c == '\\' ? std::string{'\\', c} : std::string{c};
  return out + "'";
}

std::string fish_script(const std::vector<verb_row>& verbs) {
  std::ostringstream out;
  out << "# nestor: completion for fish. Made by `nestor completion fish`.\ncomplete -c nestor -f\n";
  for (const auto& verb : verbs) {
    std::string where = "__fish_use_subcommand";
    if (auto parts = split(verb.path, " "); !parts.empty()) {
      where = "__fish_seen_subcommand_from " + parts.front();
      if (parts.size() > 1)
        where += "; and __fish_seen_subcommand_from " + parts.back();
      else if (!verb.verbs.empty()) {
        where += "; and not __fish_seen_subcommand_from";
        for (const auto& [name, summary] : verb.verbs)
          where += " " + name;
      }
    }
    for (const auto& [name, summary] : verb.verbs)
      out << "complete -c nestor -n " << fish_quoted(where) << " -a " << name << " -d " << fish_quoted(summary) << '\n';
    for (const auto& option : verb.options) {
      out << "complete -c nestor -n " << fish_quoted(where);
      for (const auto& name : option.names)
        out << (name.starts_with("--") ? " -l " + name.substr(2) : " -s " + name.substr(1));
      if (option.takes == value_kind::words)
        out << (option.names.empty() ? " -a " : " -x -a ") << fish_quoted(joined(option.words, " "));
      else if (option.takes != value_kind::none && !option.names.empty())
        out << (option.takes == value_kind::file ? " -r -F" : " -x");
      out << " -d " << fish_quoted(option.summary) << '\n';
    }
  }
  return out.str();
}

/// Text for roff: a line that begins with '.' or ''' would be a request, and '-' a hyphen.
std::string roff(const std::string& text) {
  std::string out;
  for (char c : text) {
    if (c == '\\')
      out += "\\e";
    else if (c == '-')
      out += "\\-";
    else if ((c == '.' || c == '\'') && (out.empty() || out.back() == '\n'))
      out.append("\\&").push_back(c);
    else
      out += c;
  }
  return out;
}

void man_options(std::ostringstream& out, const verb_row& verb) {
  for (const auto& option : verb.options) {
    auto names = option.names.empty() ? option.positional : joined(option.names, ", ");
    out << ".TP\n.B " << roff(names);
    if (!option.type.empty() && !option.names.empty())
      out << " " << roff(option.type);
    out << '\n' << roff(option.summary);
    if (option.takes == value_kind::words && option.type != "FORMAT")
      out << (option.summary.empty() ? "" : ": ") << roff(joined(option.words, ", "));
    out << '\n';
  }
}

std::string man_page(const std::vector<verb_row>& verbs) {
  std::ostringstream out;
  const auto& all = verbs.front();
  out << ".TH NESTOR 1 \"\" \"nestor " << roff(build_version()) << "\" \"User Commands\"\n.SH NAME\nnestor \\- "
      << "configure nested servers in rented runtimes\n.SH SYNOPSIS\n.B nestor\n.I noun\n.I verb\n[options]\n"
      << ".SH DESCRIPTION\n"
      << roff(all.summary) << "\n.PP\nExit codes: 0 done, 1 failed, 2 usage or a bad file, 3 refused or something\n"
      << "missing, 4 node unreachable, 5 timed out waiting.\n.SH OPTIONS\n";
  man_options(out, all);
  out << ".SH COMMANDS\n";
  for (const auto& verb : verbs) {
    if (verb.path.empty() || !verb.verbs.empty())
      continue;
    out << ".SS nestor " << roff(verb.path) << '\n' << roff(verb.summary) << '\n';
    man_options(out, verb);
    if (auto example = verb.footer.find('\n'); verb.footer.starts_with("Example") && example != std::string::npos)
      out << ".PP\n.EX\n" << roff(verb.footer.substr(example + 1)) << "\n.EE\n";
  }
  out << ".SH FILES\n.TP\n.I /etc/nestor/nestor.yaml\nThe node's configuration, where the package puts it.\n.TP\n"
         ".I ~/.local/state/nestor\nThe state of a node that is told no other folder.\n"
         ".SH ENVIRONMENT\n.TP\n.B NESTOR_SERVER\nThe node that client verbs ask.\n.TP\n.B NESTOR_TOKEN, "
         "NESTOR_TOKEN_FILE\nThe token, or the file that holds it.\n.TP\n.B NESTOR_STATE, NESTOR_LISTEN\n"
         "Of a node: win over its configuration.\n.TP\n.B NO_COLOR\nNo colours.\n";
  return out.str();
}

} // namespace

int run_completion(const CLI::App& app, const std::string& wanted) {
  std::vector<verb_row> verbs;
  gather(app, {}, verbs);
  std::cout << (wanted == "man"    ? man_page(verbs)
                : wanted == "zsh"  ? zsh_script(verbs)
                : wanted == "fish" ? fish_script(verbs)
                                   : bash_script(verbs));
  return done;
}

} // namespace nestor::cli
