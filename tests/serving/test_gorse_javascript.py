"""gorsejs, the client library of gorse for JavaScript, where node and the library are: ``npm install gorsejs@0.4.8 tslib``, then NODE_PATH."""

import json
import shutil
import subprocess

import pytest

from served import served
from small_service import small_project

SCRIPT = """
const { Gorse, GorseException } = require("gorsejs");
const client = new Gorse({ endpoint: process.argv[1], secret: "api_key" });
const when = "2022-08-07T00:26:46Z";
const like = (user, item, type = "star") => ({ FeedbackType: type, UserId: user, ItemId: item, Timestamp: when });
const fails = async (promise) => promise.then(() => false, (error) => error instanceof GorseException && error.code);
(async () => {
  const said = {};
  said.insertUser = await client.insertUser({ UserId: "u1", Labels: ["a", "b"], Comment: "comment" });
  said.insertUsers = await client.insertUsers([{ UserId: "u2" }, { UserId: "u3" }]);
  said.updateUser = await client.updateUser("u2", { Labels: ["z"] });
  said.getUser = await client.getUser("u1");
  said.getUsers = (await client.getUsers({ n: 2 })).Users.length;
  const item = { ItemId: "i1", IsHidden: true, Labels: ["a"], Categories: ["d"], Timestamp: when, Comment: "comment" };
  said.upsertItem = await client.upsertItem(item);
  said.upsertItems = await client.upsertItems([{ ...item, ItemId: "i2" }]);
  said.updateItem = await client.updateItem("i1", { Comment: "better" });
  said.insertItemCategory = await client.insertItemCategory("i1", "e");
  said.deleteItemCategory = await client.deleteItemCategory("i1", "d");
  said.getItem = await client.getItem("i1");
  said.getItems = (await client.getItems({ n: 3 })).Items.length;
  said.insertFeedbacks = await client.insertFeedbacks([like("u1", "d"), like("u1", "e", "read"), like("u2", "d")]);
  said.upsertFeedbacks = await client.upsertFeedbacks([like("u1", "d")]);
  said.getFeedback = await client.getFeedback({ type: "star", userId: "u1", itemId: "d" });
  said.getFeedbacks = (await client.getFeedbacks("star", { n: 5 })).Feedback.length;
  said.getUserFeedback = (await client.getUserFeedback("u1")).length;
  said.getUserFeedbackByType = (await client.getUserFeedbackByType("u1", "read")).length;
  said.getItemFeedback = (await client.getItemFeedback("d")).length;
  said.getItemFeedbackByType = (await client.getItemFeedbackByType("d", "star")).length;
  said.getRecommend = await client.getRecommend({ userId: "u1", cursorOptions: { n: 3 } });
  said.getRecommendOfCategory = await client.getRecommend({ userId: "u1", category: "food", writeBackType: "read" });
  said.getSessionRecommend = await client.getSessionRecommend([like("0", "d")], { cursorOptions: { n: 1 } });
  said.getPopular = await client.getPopular({ cursorOptions: { n: 1 } });
  said.getLatest = await client.getLatest({});
  said.getItemNeighbors = await client.getItemNeighbors({ itemId: "a", cursorOptions: { n: 1 } });
  said.getUserNeighbors = await client.getUserNeighbors({ userId: "u1" });
  said.deleteFeedback = await client.deleteFeedback({ type: "star", userId: "u1", itemId: "d" });
  said.deleteItem = await client.deleteItem("i1");
  said.deleteUser = await client.deleteUser("u1");
  said.missing = [await fails(client.getUser("u1")), await fails(client.getItem("i1"))];
  console.log(JSON.stringify(said));
})().catch((error) => { console.error(error); process.exit(1); });
"""


@pytest.fixture
def node():
    found = shutil.which("node")
    if found is None:
        pytest.skip("node is not here")
    if subprocess.run([found, "-e", 'require("gorsejs")'], capture_output=True, check=False).returncode:
        pytest.skip("gorsejs is not here: npm install gorsejs@0.4.8 tslib, then NODE_PATH=.../node_modules")
    return found


def test_every_method_of_the_javascript_library(node, tmp_path):
    with small_project(tmp_path) as project, served(project) as url:
        done = subprocess.run([node, "-e", SCRIPT, url], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    ones = ("insertUser", "updateUser", "upsertItem", "upsertItems", "updateItem", "upsertFeedbacks", "deleteItem")
    assert [said[name] for name in ones] == [1] * len(ones)
    assert (said["insertUsers"], said["insertFeedbacks"], said["deleteUser"]) == (2, 3, 1)
    assert said["getUser"] == {"UserId": "u1", "Labels": ["a", "b"], "Subscribe": None, "Comment": "comment"}
    assert said["getItem"] == {
        "ItemId": "i1",
        "IsHidden": True,
        "Labels": ["a"],
        "Categories": ["e"],
        "Timestamp": "2022-08-07T00:26:46Z",
        "Comment": "better",
    }
    assert (said["getUsers"], said["getItems"], said["getFeedbacks"]) == (2, 3, 2)
    assert said["getFeedback"]["FeedbackType"] == "star"
    assert (said["getUserFeedback"], said["getUserFeedbackByType"]) == (2, 1)
    assert (said["getItemFeedback"], said["getItemFeedbackByType"]) == (4, 2)
    assert said["getRecommend"][0] == "c"
    assert said["getRecommendOfCategory"] == ["f"], "e was read"
    assert said["getSessionRecommend"][0]["Id"] == "c"
    assert said["getPopular"][0]["Id"] in {"c", "d"}, "what is years old counts less once the project is read anew"
    assert said["getLatest"] == []
    assert said["getItemNeighbors"][0]["Id"] == "b"
    assert {one["Id"] for one in said["getUserNeighbors"]} == {"u2", "bob", "cem"}
    assert said["deleteFeedback"] == {"RowAffected": 1}
    assert said["missing"] == [404, 404]
