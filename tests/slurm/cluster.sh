#!/usr/bin/env bash
# A Slurm cluster with accounting on this machine, for tests: two nodes of four CPUs and two GPUs, which
# are files, whatever the machine has.
#
#   tests/slurm/cluster.sh start    install what is missing (Debian, as root), start what is down
#   tests/slurm/cluster.sh stop     end the daemons that start has started
#
# All it writes is in one folder, $NOISELAB_SLURM, and /etc/slurm/slurm.conf is a link to there: jobs of
# Snakemake do not see $SLURM_CONF. `start` ends with status 75 and a reason where there cannot be such
# a cluster, above all where another one is configured, which is left alone.
set -euo pipefail

STATE=${NOISELAB_SLURM:-/tmp/noiselab-slurm}
MACHINE=$(hostname -s)
CTLD_PORT=16817 DBD_PORT=16818 SQL_PORT=16819
NODES=(node1 node2)
CONFIGURATION=/etc/slurm/slurm.conf
PACKAGES=(slurm-wlm slurmdbd munge mariadb-server)
COMMANDS=(munged mariadbd mariadb mariadb-install-db slurmdbd slurmctld slurmd sbatch sacct sacctmgr)
export PATH=$PATH:/usr/sbin:/sbin
export SLURM_CONF=$STATE/slurm.conf # the daemons look for more files beside it

impossible() {
    echo "no Slurm for tests here: $1" >&2
    exit 75
}

missing() {
    for command in "${COMMANDS[@]}"; do
        command -v "$command" >/dev/null || return 0
    done
    return 1
}

install_packages() {
    missing || return 0
    command -v apt-get >/dev/null || impossible "Slurm is not installed, and this is no Debian"
    local log
    log=$(mktemp)
    # The daemons that the packages bring are not wanted: only ours are started.
    local options=(-y --no-install-recommends)
    export DEBIAN_FRONTEND=noninteractive RUNLEVEL=1
    if ! { apt-get update && apt-get install "${options[@]}" "${PACKAGES[@]}"; } >"$log" 2>&1; then
        impossible "apt-get cannot install ${PACKAGES[*]}, see $log"
    fi
    ! missing || impossible "the packages ${PACKAGES[*]} lack a command, see $log"
}

# The process of a daemon; a daemon removes the file when it ends, at any time.
pid() {
    cat "$STATE/$1.pid" 2>/dev/null || true
}

runs() {
    kill -0 "$(pid "$1")" 2>/dev/null
}

# Try a command for a minute.
wait_for() {
    for _ in {1..120}; do
        if "$@" >/dev/null 2>&1; then return; fi
        sleep 0.5
    done
    impossible "$* does not work, see the logs in $STATE"
}

configure() {
    if [[ -e $CONFIGURATION && ! $CONFIGURATION -ef $STATE/slurm.conf ]]; then
        impossible "there is a Slurm already, $CONFIGURATION"
    fi
    mkdir -p "$STATE"/{log,spool,save,sql,munge}
    chmod 755 "$STATE" "$STATE/munge"
    touch "$STATE"/gpu0 "$STATE"/gpu1
    if [[ ! -s $STATE/munge.key ]]; then
        (umask 077 && head -c 1024 /dev/urandom >"$STATE/munge.key")
    fi
    cat >"$STATE/slurm.conf" <<CONF
ClusterName=noiselab
SlurmctldHost=$MACHINE(127.0.0.1)
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket=$STATE/munge/socket,cred_expire=15
SlurmctldPort=$CTLD_PORT
SlurmctldPidFile=$STATE/slurmctld.pid
SlurmdPidFile=$STATE/%n.pid
SlurmctldLogFile=$STATE/log/slurmctld.log
SlurmdLogFile=$STATE/log/%n.log
StateSaveLocation=$STATE/save
SlurmdSpoolDir=$STATE/spool/%n
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SwitchType=switch/none
ReturnToService=2
SlurmdTimeout=60
MessageTimeout=60
KillWait=30
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=5,bf_interval=5
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
GresTypes=gpu
SlurmdParameters=config_overrides
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=127.0.0.1
AccountingStoragePort=$DBD_PORT
AccountingStoragePass=$STATE/munge/socket
AccountingStorageEnforce=associations
AccountingStorageTRES=gres/gpu
JobAcctGatherType=jobacct_gather/none
NodeName=node[1-2] NodeHostname=$MACHINE NodeAddr=127.0.0.1 Port=[16821-16822] CPUs=4 RealMemory=32768 Gres=gpu:2 State=UNKNOWN
PartitionName=work Nodes=ALL Default=YES MaxTime=INFINITE State=UP
CONF
    ln -sf "$STATE/slurm.conf" "$CONFIGURATION"
    echo "NodeName=node[1-2] Name=gpu File=$STATE/gpu[0-1]" >"$STATE/gres.conf"
    (umask 077 && cat >"$STATE/slurmdbd.conf") <<CONF
AuthType=auth/munge
AuthInfo=socket=$STATE/munge/socket
DbdHost=localhost
DbdAddr=127.0.0.1
DbdPort=$DBD_PORT
SlurmUser=root
LogFile=$STATE/log/slurmdbd.log
PidFile=$STATE/slurmdbd.pid
StorageType=accounting_storage/mysql
StorageHost=127.0.0.1
StoragePort=$SQL_PORT
StorageUser=slurm
StoragePass=noiselab
StorageLoc=slurm
CONF
}

start_munge() {
    runs munged && return
    local files=(--socket="$STATE/munge/socket" --key-file="$STATE/munge.key")
    files+=(--pid-file="$STATE/munged.pid" --log-file="$STATE/log/munged.log")
    files+=(--seed-file="$STATE/munge/seed")
    munged --force --num-threads=2 "${files[@]}"
    wait_for munge --socket="$STATE/munge/socket" --no-input
}

sql() {
    mariadb --no-defaults --socket="$STATE/sql.socket" --user=root --batch --execute="$1"
}

start_sql() {
    runs sql && return
    if [[ ! -d $STATE/sql/mysql ]]; then
        mariadb-install-db --no-defaults --datadir="$STATE/sql" --user=root \
            --auth-root-authentication-method=socket >"$STATE/log/sql.log" 2>&1
    fi
    local options=(--datadir="$STATE/sql" --socket="$STATE/sql.socket" --user=root)
    options+=(--pid-file="$STATE/sql.pid" --bind-address=127.0.0.1 --port="$SQL_PORT")
    options+=(--innodb-buffer-pool-size=64M --innodb-lock-wait-timeout=900 --skip-name-resolve)
    setsid mariadbd --no-defaults "${options[@]}" >>"$STATE/log/sql.log" 2>&1 </dev/null &
    wait_for sql "select 1"
    sql "create database if not exists slurm;
         create user if not exists slurm@'127.0.0.1' identified by 'noiselab';
         grant all on slurm.* to slurm@'127.0.0.1';"
}

start_slurm() {
    runs slurmdbd || { slurmdbd && wait_for sacctmgr --noheader list cluster; }
    add cluster noiselab
    add account noiselab cluster=noiselab
    add user "$(id -un)" account=noiselab
    runs slurmctld || { slurmctld && wait_for scontrol ping; }
    for node in "${NODES[@]}"; do
        mkdir -p "$STATE/spool/$node"
        runs "$node" || slurmd -N "$node"
        scontrol update nodename="$node" state=resume 2>/dev/null || true # from an earlier test
    done
    wait_for idle
}

# Slurm says 1 where there is nothing to add.
add() {
    sacctmgr --immediate add "$@" >/dev/null 2>&1 || true
    [[ -n $(sacctmgr --noheader list "$1" "$2") ]] || impossible "cannot add $*"
}

idle() {
    [[ $(sinfo --noheader --format="%t %D") =~ ^(idle|mix|alloc)\ 2$ ]]
}

start() {
    [[ $(uname) == Linux ]] || impossible "this is not Linux"
    [[ $(id -u) == 0 ]] || impossible "this takes root"
    install_packages
    configure
    start_munge
    start_sql
    start_slurm
}

stop() {
    local name
    if runs slurmctld; then scancel --user="$(id -un)" 2>/dev/null || true; fi
    for name in "${NODES[@]}" slurmctld slurmdbd sql munged; do
        runs "$name" || continue
        kill "$(pid "$name")" 2>/dev/null || true # it may have just ended
        for _ in {1..60}; do
            runs "$name" || break
            sleep 0.5
        done
    done
    [[ ! $CONFIGURATION -ef $STATE/slurm.conf ]] || rm "$CONFIGURATION"
}

case ${1:-} in
start) start ;;
stop) stop ;;
*)
    sed -n '2,9s/^# \{0,1\}//p' "$0" >&2
    exit 2
    ;;
esac
