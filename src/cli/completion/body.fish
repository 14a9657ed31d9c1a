# The flags of the line that say which cluster is meant.
function __tydfs_joins
    set -l words (commandline -opc)
    for i in (seq 2 (count $words))
        switch $words[$i]
            case --url --cluster --config
                test (count $words) -gt $i; and printf '%s\n' $words[$i] $words[(math $i + 1)]
            case '--url=*' '--cluster=*' '--config=*'
                printf '%s\n' $words[$i]
        end
    end
end

function __tydfs_remote
    set -l words (commandline -opc)
    set -l program $words[1]
    $program __complete (__tydfs_joins) --quoted -- remote (commandline -ct) 2>/dev/null
end

function __tydfs_side
    set -l words (commandline -opc)
    set -l program $words[1]
    set -l text (commandline -ct)
    string match -q -- ':*' $text; or return
    set -l rest (string sub -s 2 -- $text)
    for name in ($program __complete (__tydfs_joins) --quoted -- remote $rest 2>/dev/null)
        printf ':%s\n' $name
    end
end

function __tydfs_keeper
    set -l words (commandline -opc)
    set -l program $words[1]
    $program __complete (__tydfs_joins) --quoted -- keeper (commandline -ct) 2>/dev/null
end

function __tydfs_subject
    if string match -qr -- '^["\']?/' (commandline -ct)
        __tydfs_remote
    else
        __tydfs_keeper
    end
end

function __tydfs_saved
    set -l words (commandline -opc)
    set -l program $words[1]
    $program __complete saved 2>/dev/null
end

# Whether the commands of the line, in order, are just these.
function __tydfs_at
    set -l words (commandline -opc)
    set -l depth 0
    for word in $words[2..-1]
        string match -q -- '-*' $word; and continue
        test $depth -lt (count $argv); or return 0
        set depth (math $depth + 1)
        test "$word" = "$argv[$depth]"; or return 1
    end
    test $depth -eq (count $argv)
end

# Whether no command follows these yet.
function __tydfs_next
    set -l words (commandline -opc)
    set -l seen
    for word in $words[2..-1]
        string match -q -- '-*' $word; or set -a seen $word
    end
    test "$seen" = "$argv"
end

complete -c tydfs -f
