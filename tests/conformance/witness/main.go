// SPDX-License-Identifier: Apache-2.0

// A witness that shares no line with this project: the official Go client (v1, HTTP) tells what it discovers
//
//	witness URL NAMESPACE FOLDER [USER PASSWORD]
//
// Reads lines "GROUP SERVICE" and answers each with one line of JSON: the instances that the client gives its
// application, or {"error": ...}. Every question is put by a client of its own, because one client answers from a
// cache that it renews after ten seconds.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"strconv"
	"strings"

	"github.com/nacos-group/nacos-sdk-go/clients"
	"github.com/nacos-group/nacos-sdk-go/common/constant"
	"github.com/nacos-group/nacos-sdk-go/vo"
)

type instance struct {
	Ip       string            `json:"ip"`
	Port     uint64            `json:"port"`
	Weight   float64           `json:"weight"`
	Healthy  bool              `json:"healthy"`
	Enable   bool              `json:"enabled"`
	Cluster  string            `json:"clusterName"`
	Metadata map[string]string `json:"metadata"`
}

func discover(server constant.ServerConfig, config constant.ClientConfig, group, service string) ([]instance, error) {
	client, err := clients.NewNamingClient(vo.NacosClientParam{
		ClientConfig: &config, ServerConfigs: []constant.ServerConfig{server}})
	if err != nil {
		return nil, err
	}
	found, err := client.SelectAllInstances(vo.SelectAllInstancesParam{ServiceName: service, GroupName: group})
	// An empty list is an error to this client.
	if err != nil && !strings.Contains(err.Error(), "empty") {
		return nil, err
	}
	said := []instance{}
	for _, i := range found {
		said = append(said, instance{i.Ip, i.Port, i.Weight, i.Healthy, i.Enable, i.ClusterName, i.Metadata})
	}
	return said, nil
}

func main() {
	at, err := url.Parse(os.Args[1])
	if err != nil {
		panic(err)
	}
	port, err := strconv.ParseUint(at.Port(), 10, 16)
	if err != nil {
		panic(err)
	}
	server := *constant.NewServerConfig(at.Hostname(), port, constant.WithContextPath("/nacos"))
	config := *constant.NewClientConfig(constant.WithNamespaceId(os.Args[2]), constant.WithTimeoutMs(5000),
		constant.WithNotLoadCacheAtStart(true), constant.WithLogDir(os.Args[3]+"/log"),
		constant.WithCacheDir(os.Args[3]+"/cache"), constant.WithLogLevel("warn"))
	if len(os.Args) > 5 {
		config.Username, config.Password = os.Args[4], os.Args[5]
	}
	questions := bufio.NewScanner(os.Stdin)
	for questions.Scan() {
		words := strings.Fields(questions.Text())
		found, err := discover(server, config, words[0], words[1])
		var answer any = found
		if err != nil {
			answer = map[string]string{"error": err.Error()}
		}
		line, err := json.Marshal(answer)
		if err != nil {
			panic(err)
		}
		fmt.Println("witness: " + string(line))
	}
}
