/* model/attrs.h - every attribute key that the probes and drivers may set.
 *
 * Names are Nomad's but for "picket." and "unique.picket." (design decision 7).  What begins with
 * "unique." differs between like hosts and is left out of the node's class.  A name that ends in _F
 * is a format.
 */
#pragma once

/* what picketd claims to be (design decision 1) */
#define NOMAD_VERSION_DEFAULT "1.10.5"

#define ATTR_UNIQUE_PREFIX    "unique."

/* arch */
#define ATTR_CPU_ARCH "cpu.arch" /* Go's word: amd64, arm64 ... */

/* cgroup */
#define ATTR_CGROUPS_VERSION "os.cgroups.version" /* "1" or "2"; absent when unusable */

/* cpu; speeds in MHz */
#define ATTR_CPU_MODELNAME             "cpu.modelname"
#define ATTR_CPU_FREQUENCY             "cpu.frequency" /* only without efficiency cores */
#define ATTR_CPU_FREQUENCY_EFFICIENCY  "cpu.frequency.efficiency"
#define ATTR_CPU_FREQUENCY_PERFORMANCE "cpu.frequency.performance"
#define ATTR_CPU_NUMCORES              "cpu.numcores"
#define ATTR_CPU_NUMCORES_EFFICIENCY   "cpu.numcores.efficiency"
#define ATTR_CPU_NUMCORES_PERFORMANCE  "cpu.numcores.performance"
#define ATTR_CPU_RESERVABLECORES       "cpu.reservablecores"
#define ATTR_CPU_TOTALCOMPUTE          "cpu.totalcompute"
#define ATTR_CPU_USABLECOMPUTE         "cpu.usablecompute"
#define ATTR_NUMA_NODE_COUNT           "numa.node.count"
#define ATTR_NUMA_NODE_CORES_F         "numa.node%u.cores"

/* host */
#define ATTR_KERNEL_ARCH     "kernel.arch" /* uname's word: x86_64, aarch64 ... */
#define ATTR_KERNEL_NAME     "kernel.name"
#define ATTR_KERNEL_VERSION  "kernel.version"
#define ATTR_OS_NAME         "os.name"
#define ATTR_OS_VERSION      "os.version"
#define ATTR_UNIQUE_HOSTNAME "unique.hostname"

/* memory */
#define ATTR_MEMORY_TOTALBYTES "memory.totalbytes"

/* network */
#define ATTR_UNIQUE_NETWORK_IP "unique.network.ip-address"

/* signal */
#define ATTR_OS_SIGNALS "os.signals"

/* storage */
#define ATTR_UNIQUE_STORAGE_BYTESFREE  "unique.storage.bytesfree"
#define ATTR_UNIQUE_STORAGE_BYTESTOTAL "unique.storage.bytestotal"
#define ATTR_UNIQUE_STORAGE_VOLUME     "unique.storage.volume"

/* version */
#define ATTR_NOMAD_SERVICE_DISCOVERY  "nomad.service_discovery"
#define ATTR_NOMAD_VERSION            "nomad.version"
#define ATTR_PICKET_VERSION           "picket.version"
#define ATTR_UNIQUE_ADVERTISE_ADDRESS "unique.advertise.address"

/* drivers: "1" in Node.Attributes, "true" in DriverInfo.Attributes */
#define ATTR_DRIVER_F                      "driver.%s"
#define ATTR_DRIVER_RAW_EXEC               "driver.raw_exec"
#define ATTR_DRIVER_DOCKER                 "driver.docker"
#define ATTR_DRIVER_DOCKER_VERSION         "driver.docker.version"
#define ATTR_DRIVER_DOCKER_BRIDGE_IP       "driver.docker.bridge_ip"
#define ATTR_DRIVER_DOCKER_RUNTIMES        "driver.docker.runtimes"
#define ATTR_DRIVER_DOCKER_OS_TYPE         "driver.docker.os_type"
#define ATTR_DRIVER_DOCKER_VOLUMES         "driver.docker.volumes.enabled"
#define ATTR_DRIVER_DOCKER_PRIVILEGED      "driver.docker.privileged.enabled"
#define ATTR_DRIVER_DOCKER_PIDS_LIMIT      "driver.docker.pids.limit"
#define ATTR_DRIVER_DOCKER_CPUSET_DISABLED "driver.docker.cpuset_management.disabled"
