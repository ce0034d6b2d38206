"""
How examples_test.ts lets nbconvert run a notebook. Deno's kernel may say that a cell is done before it sends what the cell
shows, and nbconvert, which reads no further, drops that. Here a cell ends when it is said to be done and has as many outputs
as the stored notebook holds for it.
"""

from nbclient.client import NotebookClient
from nbclient.exceptions import CellExecutionComplete


def count_stored(cell, cell_index):
    cell.metadata["stored"] = len(cell.get("outputs", []))


async def outputs_of_cell(self, parent_msg_id, cell, cell_index):
    done = False
    while not done or len(cell.outputs) < cell.metadata["stored"]:
        message = await self.kc.iopub_channel.get_msg(timeout=None)
        if message["parent_header"].get("msg_id") == parent_msg_id:
            try:
                self.process_message(message, cell, cell_index)
            except CellExecutionComplete:
                done = True


c = get_config()
c.ExecutePreprocessor.on_cell_start = count_stored
c.ExecutePreprocessor.iopub_timeout = 60  # seconds from the end of a cell to its last output
NotebookClient._async_poll_output_msg = outputs_of_cell
