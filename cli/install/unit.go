package install

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"github.com/fenceline/fenceline/cli/settings"
)

// unitMargin is what systemd waits beyond the time in which a process ends by itself.
const unitMargin = 5 * time.Second

// unitSum begins the last line of a unit, which has the checksum of those before it: so install
// knows whether somebody changed it.
const unitSum = "# sha256 of the lines above: "

// unit is the systemd unit of a role whose settings have a grace.
func unit(role string, grace time.Duration) string {
	after := "network-online.target"
	switch role {
	case settings.RoleDistributor:
		after += " docker.service"
	case settings.RoleBuilder:
		after += " buildkit.service"
	}
	stop := (grace + settings.StopMargin + unitMargin).Round(time.Second)
	text := fmt.Sprintf(unitForm, userOf(role), role, after, userOf(role), userOf(role), installedAt, role, settingsPath(role), int(stop.Seconds()))
	return text + unitSum + sum(text) + "\n"
}

func sum(text string) string {
	s := sha256.Sum256([]byte(text))
	return hex.EncodeToString(s[:])
}

// unchanged tells whether a unit is as an install wrote it.
func unchanged(text string) bool {
	i := strings.LastIndex(text, unitSum)
	return i >= 0 && text[i:] == unitSum+sum(text[:i])+"\n"
}

const unitForm = `# Written by fenceline install. Changes of your own belong into a drop-in, which
# 'systemctl edit %s' makes: this file is written anew with the next version.
[Unit]
Description=Fenceline %s
Documentation=https://github.com/fenceline/fenceline
After=%s
Wants=network-online.target
StartLimitIntervalSec=0

[Service]
Type=exec
User=%s
Group=%s
ExecStart=%s run %s --settings %s
Restart=always
RestartSec=5s
KillMode=mixed
# What is under way may end: the grace of the settings, and 20 seconds for the rest.
TimeoutStopSec=%ds

# It reads its settings and speaks over sockets: nothing else is open to it. /tmp is its own.
UMask=0077
NoNewPrivileges=yes
CapabilityBoundingSet=
AmbientCapabilities=
ProtectSystem=strict
ProtectHome=yes
PrivateTmp=yes
PrivateDevices=yes
ProtectClock=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectControlGroups=yes
ProtectProc=invisible
RemoveIPC=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
MemoryDenyWriteExecute=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged
SystemCallErrorNumber=EPERM

[Install]
WantedBy=multi-user.target
`
