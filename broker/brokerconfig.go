package broker

import (
	"fmt"
	"slices"
	"strings"

	"holdfast/broker/remoting"
)

// ConfName is the name of a Save that is not a file of the store: its bytes are lines key=value, which belong into the
// broker.conf that the node was started with, in place of the lines that set those keys.
const ConfName = "broker.conf"

// brokerConfig serves GET_BROKER_CONFIG: the effective configuration, and its data version in the header.
func (n *Node) brokerConfig(c ConnID, f *remoting.Frame, out *Output) {
	w := remoting.BeginReply(nil, f, remoting.ResponseSuccess)
	w.String("version", string(n.confVersion.Append(nil)))
	n.answer(c, f, out, w.Finish([]byte(n.cfg.Properties())))
}

// updateBrokerConfig serves UPDATE_BROKER_CONFIG: lines key=value, all of which take effect or none. RocketMQ takes whatever its
// configuration has a key for, also what counts at the start alone, and is silent about the rest; here only what does take effect
// is accepted. Source: AdminBrokerProcessor.updateBrokerConfig, Configuration.update (RocketMQ 5.3.3).
func (n *Node) updateBrokerConfig(c ConnID, f *remoting.Frame, out *Output) {
	changed := n.cfg
	lines, code, fault := changed.change(string(f.Body))
	if fault == "" {
		if err := changed.Validate(); err != nil {
			code, fault = remoting.ResponseInvalidParameter, err.Error()
		}
	}
	if fault != "" {
		n.refuse(c, f, code, fault, out)
		return
	}
	if lines != "" {
		n.reconfigure(&changed, out)
	}
	if !n.cfg.ConfKept || lines == "" {
		n.ok(c, f, nil, out)
		return
	}
	n.confAnswers = append(n.confAnswers, Reply{Conn: c, Opaque: f.Opaque, Form: f.Form})
	if f.IsOneway() {
		n.confAnswers[len(n.confAnswers)-1].Conn = 0
	}
	n.saveConf(lines, out)
}

// change takes the lines of properties over into c, and returns them in their plain form; or says why none may be taken.
func (c *Config) change(properties string) (lines string, code int32, fault string) {
	settings := Settings()
	for line := range strings.SplitSeq(properties, "\n") {
		if line = strings.TrimSpace(line); line == "" || line[0] == '#' || line[0] == '!' {
			continue
		}
		name, value, _ := strings.Cut(line, "=")
		name, value = strings.TrimSpace(name), strings.TrimSpace(value)
		at := slices.IndexFunc(settings, func(s Setting) bool { return s.Name == name })
		switch {
		case at < 0:
			return "", remoting.ResponseInvalidParameter, fmt.Sprintf("unknown key %q; what can be changed: %s", name, dynamicNames(settings))
		case !settings[at].Dynamic:
			return "", remoting.ResponseNoPermission, fmt.Sprintf("%s cannot be changed while the broker runs; what can be changed: %s", name, dynamicNames(settings))
		}
		if err := settings[at].Set(c, value); err != nil {
			return "", remoting.ResponseInvalidParameter, fmt.Sprintf("%s=%s: %v", name, value, err)
		}
		lines += name + "=" + value + "\n"
	}
	return lines, 0, ""
}

func dynamicNames(settings []Setting) string {
	var names []string
	for _, s := range settings {
		if s.Dynamic {
			names = append(names, s.Name)
		}
	}
	return strings.Join(names, ", ")
}

// reconfigure makes changed the node's configuration. What a decoder reads beside the node is no dynamic setting, and is not
// written.
func (n *Node) reconfigure(changed *Config, out *Output) {
	permission, servers := n.cfg.Permission, n.cfg.NameServers
	n.cfg.Choice.FlushInterval, n.cfg.Choice.FlushPages = changed.Choice.FlushInterval, changed.Choice.FlushPages
	n.cfg.Choice.FlushThorough, n.cfg.Choice.CommitInterval = changed.Choice.FlushThorough, changed.Choice.CommitInterval
	n.contract.Flush = n.cfg.Choice.Contract().Flush
	n.cfg.SyncInterval, n.cfg.SyncFirst = changed.SyncInterval, changed.SyncFirst
	n.cfg.Permission, n.cfg.SlaveReadEnable = changed.Permission, changed.SlaveReadEnable
	n.cfg.AutoCreateTopic, n.cfg.AutoCreateGroup = changed.AutoCreateTopic, changed.AutoCreateGroup
	n.cfg.MaxMessageBytes, n.cfg.StoreReplies = changed.MaxMessageBytes, changed.StoreReplies
	n.cfg.MaxPullBytes, n.cfg.MaxPullMessages = changed.MaxPullBytes, changed.MaxPullMessages
	n.cfg.DiskPullBytes, n.cfg.DiskPullMessages, n.cfg.InMemoryBytes = changed.DiskPullBytes, changed.DiskPullMessages, changed.InMemoryBytes
	n.cfg.RegisterInterval, n.cfg.OffsetsInterval, n.cfg.ChannelExpired = changed.RegisterInterval, changed.OffsetsInterval, changed.ChannelExpired
	n.cfg.NameServers = changed.NameServers
	n.confVersion.Counter++
	n.confVersion.Timestamp = n.now.Wall
	if n.cfg.AutoCreateTopic && n.topics.byName[templateTopic] == nil {
		for _, c := range presetTopics(&n.cfg) {
			if c.Name == templateTopic {
				n.putTopic(c, out)
			}
		}
	}
	if n.cfg.Permission != permission {
		n.topicsChanged(out)
	} else if !slices.Equal(n.cfg.NameServers, servers) {
		n.register(out)
	}
}

// saveConf has lines put into the file that the node was started with, one save at a time.
func (n *Node) saveConf(lines string, out *Output) {
	if n.confSaving {
		n.confLater += lines
		return
	}
	n.confSaving, n.confSaved = true, len(n.confAnswers)
	out.Saves = append(out.Saves, Save{Name: ConfName, Bytes: []byte(lines)})
}

// savedConf answers the changes that the save held.
func (n *Node) savedConf(err error, out *Output) {
	if err != nil {
		note(out, true, "the configuration was changed, but not in its file: %v", err)
	}
	for _, r := range n.confAnswers[:n.confSaved] {
		code, remark := remoting.ResponseSuccess, ""
		if err != nil {
			code, remark = remoting.ResponseSystemError, "changed until the broker ends, but not in its file: "+err.Error()
		}
		if r.Conn != 0 {
			r.Kind, r.Frame = ReplyFrame, remoting.AppendReply(nil, r.Form, code, r.Opaque, remark, nil)
			out.Replies = append(out.Replies, r)
		}
	}
	n.confAnswers = n.confAnswers[n.confSaved:]
	n.confSaving = false
	if lines := n.confLater; lines != "" {
		n.confLater = ""
		n.saveConf(lines, out)
	}
}
