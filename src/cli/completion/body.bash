# The words of the line before the cursor, quotes included, and the one that is being typed. bash's
# own words end at : = and @ too.
_tydfs_words() {
  local left=${COMP_LINE:0:COMP_POINT} i char quote='' word='' inside=''
  words=()
  for ((i = 0; i < ${#left}; i++)); do
    char=${left:i:1}
    if [[ -n $quote ]]; then
      word+=$char
      [[ $char == "$quote" ]] && quote=''
    elif [[ $char == [[:space:]] ]]; then
      [[ -n $inside ]] && words+=("$word")
      word='' inside=''
    else
      inside=1
      if [[ $char == \\ ]]; then
        word+=${left:i:2}
        ((i++))
      else
        word+=$char
        [[ $char == [\"\'] ]] && quote=$char
      fi
    fi
  done
  current=$word
}

# Offers the words of a list.
_tydfs_list() {
  local IFS=$' \t\n' word
  for word in $1; do
    [[ $word == "$current"* ]] && COMPREPLY+=("$word")
  done
}

# Offers names that lie at a place.
_tydfs_place() {
  local name plain i
  plain=${current//\\/}
  plain=${plain#[\"\']}
  case $1 in
    =*) _tydfs_list "${1#=}" ;;
    local) compopt -o default -o filenames 2>/dev/null ;;
    saved) _tydfs_list "$("$program" __complete saved 2>/dev/null)" ;;
    keeper)
      while IFS= read -r name; do
        COMPREPLY+=("$name")
      done < <("$program" __complete "${joins[@]}" --quoted -- keeper "$current" 2>/dev/null)
      ;;
    subject)
      if [[ $plain == /* ]]; then _tydfs_place remote; else _tydfs_place keeper; fi
      ;;
    command) _tydfs_list "$all" ;;
    side)
      if [[ $current != :* ]]; then
        compopt -o default -o filenames 2>/dev/null
        return
      fi
      current=${current#:}
      _tydfs_place remote
      COMPREPLY=("${COMPREPLY[@]/#/:}")
      current=:$current
      ;;
    remote | either)
      compopt -o filenames -o nospace 2>/dev/null
      while IFS= read -r name; do
        COMPREPLY+=("$name")
      done < <("$program" __complete "${joins[@]}" --quoted -- remote "$current" 2>/dev/null)
      if [[ $1 == either ]]; then
        while IFS= read -r name; do
          [[ -d $name ]] && name+=/
          COMPREPLY+=("$name")
        done < <(compgen -f -- "$plain")
      fi
      # bash leaves these unquoted, and they would mean something.
      if [[ $current != [\"\']* && ${COMPREPLY[*]} == *[\$\`]* ]]; then
        compopt +o filenames 2>/dev/null
        for i in "${!COMPREPLY[@]}"; do
          printf -v 'COMPREPLY[i]' %q "${COMPREPLY[i]}"
        done
      fi
      # A name that is whole ends with a blank.
      if ((${#COMPREPLY[@]} == 1)) && [[ ${COMPREPLY[0]} != */ ]]; then
        compopt +o nospace 2>/dev/null
      fi
      ;;
  esac
}

# Finds where the value of a flag lies; fails when it has none.
_tydfs_value() {
  local each
  for each in "${values[@]}"; do
    if [[ ${each%%:*} == "$1" ]]; then
      found=${each#*:}
      return 0
    fi
  done
  return 1
}

# bash replaces only what follows the last : or = of the word, or begins with its last @.
_tydfs_trim() {
  local last=${COMP_WORDS[COMP_CWORD]} lead i
  [[ $last == [:=] ]] && last=''
  lead=${current%"$last"}
  lead=${lead//\\/}
  for i in "${!COMPREPLY[@]}"; do
    COMPREPLY[i]=${COMPREPLY[i]#"$lead"}
  done
}

_tydfs() {
  local program=$1 current words commands flags values places all
  local path='' found='' joins=() index=0 pending='' literal='' i word place
  COMPREPLY=()
  _tydfs_words
  _tydfs_facts ''
  all=$commands
  for ((i = 1; i < ${#words[@]}; i++)); do
    word=${words[i]}
    if [[ -n $pending ]]; then
      case $pending in --url | --cluster | --config) joins+=("$pending" "$word") ;; esac
      pending=''
    elif [[ -z $literal && $word == -- ]]; then
      literal=1
    elif [[ -z $literal && $word == -?* ]]; then
      case $word in --url=* | --cluster=* | --config=*) joins+=("$word") ;; esac
      if [[ $word != *=* ]] && _tydfs_value "$word"; then pending=$word; fi
    elif ((index == 0)) && [[ " $commands " == *" $word "* ]]; then
      path=${path:+$path }$word
      _tydfs_facts "$path"
    else
      ((index++))
    fi
  done
  if [[ -n $pending ]]; then
    _tydfs_value "$pending" && _tydfs_place "$found"
  elif [[ -z $literal && $current == --*=* ]]; then
    if _tydfs_value "${current%%=*}"; then
      current=${current#*=}
      _tydfs_place "$found"
    fi
    return
  elif [[ -z $literal && $current == -* ]]; then
    _tydfs_list "$flags"
  elif [[ -n $commands ]] && ((index == 0)); then
    _tydfs_list "$commands"
  else
    place=${places[index]:-}
    if [[ -z $place ]] && ((${#places[@]} > 0)); then
      place=${places[${#places[@]} - 1]}
      [[ $place == +* ]] || place=''
    fi
    _tydfs_place "${place#+}"
  fi
  _tydfs_trim
}

complete -F _tydfs tydfs
