# The flags of the line that say which cluster is meant.
_tydfs_joins() {
  local -i i
  reply=()
  for ((i = 2; i < $#_tydfs_line; i++)); do
    case ${_tydfs_line[i]} in
      (--url|--cluster|--config) reply+=(${_tydfs_line[i]} "${(Q)_tydfs_line[i+1]}") ;;
      (--url=*|--cluster=*|--config=*) reply+=("${(Q)_tydfs_line[i]}") ;;
    esac
  done
}

_tydfs_remote() {
  local -a reply names directories files
  local lead=${(Q)PREFIX}
  lead=${(M)lead##*/}
  _tydfs_joins
  names=("${(@f)$(${(Q)_tydfs_line[1]} __complete $reply -- remote "${(Q)PREFIX}" 2>/dev/null)}")
  names=(${names:#})
  (( $#names )) || return 1
  compset -P '*/'
  names=("${(@)names#$lead}")
  directories=(${(M)names:#*/})
  files=(${names:#*/})
  compadd -f -q -S / -- ${directories%/}
  compadd -f -- $files
}

_tydfs_either() {
  _alternative 'remote:remote name:_tydfs_remote' 'local:local file:_files'
}

_tydfs_side() {
  if compset -P ':'; then _tydfs_remote; else _files; fi
}

_tydfs_keeper() {
  local -a reply names
  _tydfs_joins
  names=(${(f)"$(${(Q)_tydfs_line[1]} __complete $reply -- keeper "${(Q)PREFIX}" 2>/dev/null)"})
  compadd -- $names
}

_tydfs_subject() {
  if [[ ${(Q)PREFIX} == /* ]]; then _tydfs_remote; else _tydfs_keeper; fi
}

_tydfs_saved() {
  local -a names
  names=(${(f)"$(${(Q)_tydfs_line[1]} __complete saved 2>/dev/null)"})
  compadd -- $names
}

_tydfs() {
  local -a _tydfs_line
  _tydfs_line=("${(@)words[1,CURRENT-1]}" '')
  _tydfs_root "$@"
}

# Loaded by source, or found on fpath.
if [[ $funcstack[1] == _tydfs ]]; then
  _tydfs "$@"
else
  compdef _tydfs tydfs
fi
