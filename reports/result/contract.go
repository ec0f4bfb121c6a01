package result

import "fmt"

// Contract is one row of the matrix: what an acknowledgement of this configuration promises.
type Contract struct {
	BrokerRole         string `json:"brokerRole"`    // ASYNC_MASTER, SYNC_MASTER
	FlushDiskType      string `json:"flushDiskType"` // ASYNC_FLUSH, SYNC_FLUSH
	InSyncReplicas     int    `json:"inSyncReplicas"`
	SlaveFlushDiskType string `json:"slaveFlushDiskType,omitzero"` // as FlushDiskType when absent
	TransientStorePool bool   `json:"transientStorePool,omitzero"` // transientStorePoolEnable=true
	Name               string `json:"name,omitzero"`               // of a system without brokerRole and flushDiskType: "R3, sync every 2 min"
}

// Role returns the role with the number of replicas that it waits for: ASYNC_MASTER, SYNC_MASTER/1, SYNC_MASTER/2.
func (c Contract) Role() string {
	if c.BrokerRole == "SYNC_MASTER" {
		return fmt.Sprintf("SYNC_MASTER/%d", max(c.InSyncReplicas, 1))
	}
	return c.BrokerRole
}

// String returns the contract as one label: "SYNC_MASTER/2 + ASYNC_FLUSH".
func (c Contract) String() string {
	if c.BrokerRole == "" {
		return c.Name
	}
	return c.Role() + " + " + c.FlushDiskType
}

// BrokerConf returns the lines of the master's broker.conf that make this contract.
// Source: BrokerConfig, MessageStoreConfig (RocketMQ 5.x); 4.9 has no inSyncReplicas and behaves as 2.
func (c Contract) BrokerConf() []string {
	if c.BrokerRole == "" {
		return nil
	}
	lines := []string{"brokerRole=" + c.BrokerRole, "flushDiskType=" + c.FlushDiskType}
	if c.BrokerRole == "SYNC_MASTER" {
		lines = append(lines, fmt.Sprintf("inSyncReplicas=%d", max(c.InSyncReplicas, 1)))
	}
	if c.TransientStorePool {
		lines = append(lines, "transientStorePoolEnable=true")
	}
	return lines
}

// SlaveConf returns the lines of the slave's broker.conf that make this contract.
func (c Contract) SlaveConf() []string {
	if c.BrokerRole == "" {
		return nil
	}
	flush := c.SlaveFlushDiskType
	if flush == "" {
		flush = c.FlushDiskType
	}
	return []string{"brokerRole=SLAVE", "flushDiskType=" + flush}
}
